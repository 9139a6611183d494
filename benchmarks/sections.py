"""Tables of results, one per benchmark, as lines of Markdown.

Every function takes the records of one question on one device, oldest jax first. Where a
peer is faster, its number is set in bold; nothing is left out.
"""

from benchmarks import enhance, shapes, slice_apply, table

TITLES = {
    "reference": "`reference`",
    "google": "google/hdrnet's JAX maths",
    "torch": "torch `grid_sample`",
    "scipy": "SciPy",
    "autodiff": "JAX's gradient of a gather",
}
FULL = "full_resolution_seconds"


def slice_apply_section(found):
    """Time and memory of every size, task and version, relative to ours."""
    lead = (
        f"**`slice_apply` on {machine(found)}** (float32, grid 16 x 16 x 8 x 12, batch 1; medians. "
        "Ours in milliseconds; the others: how many times longer they took in the same rounds, "
        "[quartiles]; with the memory a call needs beyond its input)"
    )
    lines = [lead + ":", "", *comparison(found, size_and_task), "", provenance(found)]
    if found[-1]["metadata"]["device"].startswith("cpu"):
        lines += ["", "![Time against megapixels](docs/figures/benchmarks.svg)"]
    return "\n".join(lines)


def splat_section(found):
    """The same for splat."""
    lead = f"**`splat` on {machine(found)}** (float32, 12 features per pixel, grid 16 x 16 x 8)"
    return "\n".join([lead + ":", "", *comparison(found, size_and_task)])


def table_lookup_section(found):
    """Processor time of the lookup and its gradients, and the formulations that lost."""
    lead = (
        f"**`table_lookup` on {machine(found)}** (float32, 33 nodes per axis, one photo; processor "
        "time, since the machine had other work: ours in ns per pixel, the others how many times "
        "as much, [quartiles]; with the temporaries that XLA states)"
    )
    titles = ("eight gathers", "one gather of the cell", "dense tents", "Pillow, 8 bit")
    names = ("gathers", "window", "dense", "pillow")
    lines = [f"| | jax | ours | {' | '.join(titles)} |", "|---" * 7 + "|"]
    for key, record, ours in by_size(found, size_and_task):
        rows = {r["implementation"]: r for r in record["rows"] if size_and_task(r) == key}
        seconds = ours["cpu_seconds_per_core"][1] * record["metadata"]["cores"]
        cells = [f"{seconds / ours['pixels'] * 1e9:.0f} ns{memory_clause(ours)}"]
        cells += [processor_cell(rows[name]) if name in rows else "" for name in names]
        lines.append(f"| {key} | {record['metadata']['jax']} | {' | '.join(cells)} |")
    return "\n".join([lead + ":", "", *lines, "", provenance(found)])


def processor_cell(row):
    """`peer_cell` of processor time."""
    return peer_cell(row if "skipped" in row else row | {"wall_ratio": row["cpu_ratio"]})


def shapes_section(found):
    """Best and worst ratio over all shapes, and the lost cases by name."""
    lines = []
    for record in found:
        others = [row for row in record["rows"] if row["implementation"] == "reference"]
        compared = [row for row in others if "wall_ratio" in row]
        ratio = {case_and_task(row): row["wall_ratio"][1] for row in compared}
        itself = [row for row in others if row.get("skipped") == shapes.DEFAULT_ITSELF]
        worst, best = min(ratio, key=ratio.get), max(ratio, key=ratio.get)
        lost = [f"{name} ({value:.2g})" for name, value in ratio.items() if value < 1]
        lines.append(
            f"- jax {record['metadata']['jax']}: over {len(ratio)} cases `reference` takes "
            f"{ratio[worst]:.2g} ({worst}) to {ratio[best]:.2g} ({best}) times as long as the "
            "default; "
            + (f"**slower than it: {', '.join(lost)}**" if lost else "nowhere less")
            + "".join(f" ({case_and_task(row)}: {row['skipped']})" for row in itself)
        )
    lead = (
        f"**Other shapes on {machine(found)}** (widths that are odd, prime or smaller than the "
        "grid, depths 4 to 32, 36 features, bfloat16, batches; about a megapixel):"
    )
    return "\n".join([lead, "", *lines])


def every_shape_section(found):
    """Nanoseconds per pixel of every shape, and how many times as long `reference` takes."""
    lead = (
        f"**Shapes on {machine(found)}** (`slice_apply` with a grid 16 x 16 x 8 x 12, float32, "
        "about a megapixel, unless the name says otherwise; what runs by default: ns per pixel, "
        "and the temporaries that XLA states)"
    )
    lines = ["| | jax | default | `reference`: times as long |", "|---|---|---|---|"]
    for key, record, default in by_size(found, case_and_task):
        _, reference = [row for row in record["rows"] if case_and_task(row) == key]
        cell = f"{nanoseconds(default)} ns{memory_clause(default)}"
        jax = record["metadata"]["jax"]
        lines.append(f"| {key} | {jax} | {cell} | {peer_cell(reference)} |")
    return "\n".join([lead + ":", "", *lines, "", provenance(found)])


def case_and_task(row):
    """`depth 4, forward + gradients`."""
    return f"{row['case']}, {row['task'].replace('+', ' + ')}"


def batches_section(found):
    """Nanoseconds per pixel of one image, and ratios for batches and larger images."""
    lead = (
        f"**Pixels of a batch on {machine(found)}** (`slice_apply`; ns per pixel of one image; "
        "the others: how many times as long a pixel takes in the same rounds, [quartiles]; with "
        "the memory that the system had to provide in each call; kept: where the C library returns "
        "none)"
    )
    titles = ("four such images", "one as large as the four", "torch, one", "torch, four")
    lines = [f"| | jax | one | {' | '.join(titles)} |", "|---" * 7 + "|"]
    for key, record, _ in by_size(found, batches_label):
        one, *others = [row for row in record["rows"] if batches_label(row) == key]
        cells = [f"{nanoseconds(one)} ns"]
        cells += [pixel_cell(row) for row in others]
        lines.append(f"| {key} | {record['metadata']['jax']} | {' | '.join(cells)} |")
    return "\n".join([lead + ":", "", *lines, "", provenance(found)])


def pixel_cell(row):
    """A ratio per pixel; with fresh pages where they are a megabyte or more."""
    if "skipped" in row:
        return f"({row['skipped']})"
    fresh = row["fresh_megabytes"]
    return table.spread(row["pixel_ratio"]) + (f", {fresh:.0f} MB fresh" if fresh >= 1 else "")


def batches_label(row):
    """`512 x 384, forward`."""
    return f"{row['size']}, {row['task'].replace('+', ' + ')}"


def pages_section(found):
    """Nanoseconds per pixel with new and with overwritten results, by kind of pages."""
    lead = (
        f"**What fresh pages cost on {machine(found)}** (`slice_apply` forward, ns per pixel, and "
        "the memory that the system had to provide in each call; "
        "[how to avoid them](kernels.md#memory-that-is-used-again)):"
    )
    cells = list(dict.fromkeys((r["implementation"], r["task"]) for r in found[-1]["rows"]))
    titles = (f"{name}{task.removeprefix('forward')}" for name, task in cells)
    lines = [f"| image | jax | {' | '.join(titles)} |", "|---" * (len(cells) + 2) + "|"]
    for key, record, _ in by_size(found, lambda row: row["size"]):
        rows = {(r["implementation"], r["task"]): r for r in record["rows"] if r["size"] == key}
        texts = (
            f"{nanoseconds(row)}, {row['fresh_megabytes']:.0f} MB"
            for row in (rows[cell] for cell in cells)
        )
        lines.append(f"| {key} | {record['metadata']['jax']} | {' | '.join(texts)} |")
    return "\n".join([lead, "", *lines])


def enhance_section(found):
    """The parts of an enhanced photo."""
    lead = (
        f"**A photo from decoded array to array on {machine(found)}** (`enhance`, HDRNet, 8 bit; "
        "the paper states 61 ms for 12 megapixels on a phone's GPU):"
    )
    lines = [
        "| photo | jax | in all | resizing | network | full resolution | peak of the process |",
        "|---|---|---|---|---|---|---|",
    ]
    for _, record, row in by_size(found, lambda row: row["size"]):
        times = (
            milliseconds(row[name][1]) for name in ("wall_seconds", *enhance.PARTS.values(), FULL)
        )
        label = size_label(row["size"], enhance.SIZES)
        peak = memory_label(row["peak_process_megabytes"])
        cells = (label, record["metadata"]["jax"], *times, peak)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([lead, "", *lines])


def sizes_section(found):
    """Photos of many sizes against photos of one."""
    photos = found[-1]["rows"][0]["photos"]
    lead = (
        f"**{photos} photos of {photos} sizes against {photos} of one, on {machine(found)}** "
        "(`python -m benchmarks.sizes`: 8 bit, 0.2 MP each, enhanced by a network or scored with "
        "all metrics, in a fresh process; processor seconds with compiling, and compiled programs):"
    )
    lines = ["| | jax | one size | many sizes | ratio |", "|---|---|---|---|---|"]
    for record in found:
        for row in record["rows"]:
            one, many = row["one_size"], row["many_sizes"]
            cells = [f"{x['processor_seconds']:.1f} s, {x['programs']}" for x in (one, many)]
            ratio = f"{many['processor_seconds'] / one['processor_seconds']:.2f}"
            line = (row["subject"], record["metadata"]["jax"], *cells, ratio)
            lines.append(f"| {' | '.join(line)} |")
    return "\n".join([lead, "", *lines])


def train_step_section(found):
    """The step against PyTorch's."""
    lead = (
        f"**A training step of HDRNet on {machine(found)}** (`configs/hdrnet.py`: batches of 8, "
        "whole-photo copies of 256 x 256; loss, gradient, clipping, Adam, moving average. PyTorch: "
        "the same network and step from the same weights, eager, checked before it is timed)"
    )
    lines = ["| | jax | ours | PyTorch: times as long |", "|---|---|---|---|"]
    for key, record, _ in by_size(found, lambda row: row["crop"]):
        rows = [row for row in record["rows"] if row["part"] == "step" and row["crop"] == key]
        if rows:
            ours, torch = rows
            rate = f"{ours['batch'] / ours['wall_seconds'][1]:.3g} images/s"
            cell = f"{milliseconds(ours['wall_seconds'][1])}, {rate}"
            jax = record["metadata"]["jax"]
            lines.append(f"| crops of {key} | {jax} | {cell} | {peer_cell(torch)} |")
    return "\n".join([lead + ":", "", *lines, "", provenance(found)])


def feeding_section(found):
    """The idle share of every feed, and the cost of splitting a batch over devices."""
    lead = (
        f"**Feeding a training step on {machine(found)}** (HDRNet, crops of 256 in batches of 8, "
        "from photos on disk; waiting: the share of the time in which there is no batch)"
    )
    lines = ["| photos | jax | images/s | waiting |", "|---|---|---|---|"]
    for record in reversed(found):
        for row in (row for row in record["rows"] if row["part"] == "input"):
            rate, idle = f"{row['images_per_second']:.3g}", f"{row['idle_share']:.1%}"
            lines.append(f"| {row['feed']} | {record['metadata']['jax']} | {rate} | {idle} |")
    shared = [line for record in reversed(found) for line in devices_clause(record)]
    return "\n".join([lead + ":", "", *lines, "", *shared, provenance(found)])


def devices_clause(record):
    """Cost of a batch that is split over simulated devices."""
    if rows := [row for row in record["rows"] if row["part"] == "devices"]:
        costs = ", ".join(f"{r['devices']}: {r['wall_ratio'][1]:.2f}" for r in rows[1:])
        yield (
            "The same batch shared by simulated devices on these cores, against one (jax "
            f"{record['metadata']['jax']}): {costs}."
        )
        yield ""


def comparison(found, label):
    """Lines of a table: one row per label and version, one column per implementation."""
    names = list(dict.fromkeys(row["implementation"] for r in found for row in r["rows"]))
    titles = [TITLES.get(name, name) for name in names[1:]]
    yield f"| | jax | ours (`{names[0]}`) | {' | '.join(titles)} |"
    yield "|---" * (len(names) + 2) + "|"
    for key, record, _ in by_size(found, label):
        rows = {row["implementation"]: row for row in record["rows"] if label(row) == key}
        cells = [ours_cell(rows[names[0]])]
        cells += [peer_cell(rows[name]) if name in rows else "" for name in names[1:]]
        yield f"| {key} | {record['metadata']['jax']} | {' | '.join(cells)} |"


def by_size(found, label):
    """`(label, record, first row)`: every label in the order of the rows, newest jax first."""
    labels = dict.fromkeys(label(row) for record in found for row in record["rows"])
    for key in labels:
        for record in reversed(found):
            rows = [row for row in record["rows"] if label(row) == key]
            if rows:
                yield key, record, rows[0]


def size_and_task(row):
    """`4000 x 3000, forward`."""
    label = size_label(row["size"], slice_apply.SIZES)
    return label if row["task"] == "splat" else f"{label}, {row['task'].replace('+', ' + ')}"


def size_label(size, sizes):
    height, width = sizes[size][:2]
    return f"{width} x {height}"


def ours_cell(row):
    return milliseconds(row["wall_seconds"][1]) + memory_clause(row)


def peer_cell(row):
    """A ratio with its spread, bold where the peer is faster; or why there is none."""
    if "skipped" in row:
        too_large = "exceed" in row["skipped"]
        needs = memory_label(row["temporary_megabytes"]) if too_large else ""
        return f"not run: needs {needs}" if too_large else f"({row['skipped']})"
    ratio = table.spread(row["wall_ratio"])
    return (f"**{ratio}**" if row["wall_ratio"][1] < 1 else ratio) + memory_clause(row)


def memory_clause(row):
    """Measured memory, otherwise the temporaries that XLA reports."""
    megabytes = row.get("peak_megabytes") or row.get("temporary_megabytes")
    return f", {memory_label(megabytes)}" if megabytes else ""


def memory_label(megabytes):
    return f"{megabytes / 1e3:.2g} GB" if megabytes >= 1e3 else f"{megabytes:.3g} MB"


def nanoseconds(row):
    return f"{row['wall_seconds'][1] / row['pixels'] * 1e9:.1f}"


def milliseconds(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def machine(found):
    """Description of the device."""
    data = found[-1]["metadata"]
    cpu = data["device"].startswith("cpu")
    return f"{data['device'][4:].removesuffix('core')} CPU cores" if cpu else data["device"]


def provenance(found):
    """Versions, machine and commit of every run."""
    runs = []
    for record in reversed(found):
        data = record["metadata"]
        versions = [f"{name} {data[name]}" for name in ("jax", "torch", "scipy") if data.get(name)]
        versions += [data["cpu"]] if data.get("cpu") else []
        runs.append(f"{', '.join(versions)}, commit {data['commit']}, {data['date']}")
    return f"({'; '.join(runs)}. `make bench` measures them again.)"

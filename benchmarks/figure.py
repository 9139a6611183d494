"""Figure of time against megapixels for each implementation."""

import matplotlib

from benchmarks import records, slice_apply

COLORS = {
    "xla": "#cc3311",
    "reference": "#999999",
    "google": "#3366aa",
    "torch": "#ee9922",
    "scipy": "#339966",
}
NAMES = {"xla": "ours (xla)", "google": "google/hdrnet's JAX", "torch": "torch grid_sample"}
TITLES = {"forward": "forward", "forward+gradients": "forward and all gradients"}


def draw(results, folder):
    """Draws `benchmarks.svg` from the CPU results and returns the files written."""
    from matplotlib import pyplot

    found = [r for path in sorted(results.glob("cpu-*")) for r in records.read("slice_apply", path)]
    settings = {"svg.fonttype": "none", "svg.hashsalt": "benchmarks", "font.size": 9}
    with matplotlib.rc_context(settings):
        sheet, panels = pyplot.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
        for panel, (task, title) in zip(panels, TITLES.items(), strict=True):
            draw_panel(panel, found, task)
            panel.set_title(f"slice_apply, {title}", fontsize=10, loc="left")
        panels[0].set_ylabel("milliseconds")
        panels[0].legend(frameon=False, fontsize=8)
        path = folder / "benchmarks.svg"
        sheet.savefig(path, metadata={"Date": None})
        pyplot.close(sheet)
    return [path]


def draw_panel(panel, found, task):
    """Lines for the newest jax; `xla` under the oldest one, dashed."""
    newest, oldest = found[-1], found[0]
    lines = [(newest, name, "-") for name in COLORS]
    if oldest is not newest:
        lines.append((oldest, "xla", "--"))
    for record, name, style in lines:
        points = [
            (pixels(row) / 1e6, *(1e3 * seconds for seconds in row["wall_seconds"]))
            for row in record["rows"]
            if (row["task"], row["implementation"]) == (task, name) and "wall_seconds" in row
        ]
        if not points:
            continue
        megapixels, low, middle, high = zip(*sorted(points), strict=True)
        label = f"{NAMES.get(name, name)}, jax {record['metadata']['jax']}"
        label = label if name not in ("torch", "scipy") else NAMES.get(name, "SciPy")
        options = {"color": COLORS[name], "lw": 2.2 if name == "xla" else 1.4, "ms": 3.5}
        panel.plot(megapixels, middle, style + "o", label=label, **options)
        panel.fill_between(megapixels, low, high, color=COLORS[name], alpha=0.2, lw=0)
        annotate_memory(panel, record, task, name, (megapixels[-1], middle[-1]))
    panel.set(xscale="log", yscale="log", xlabel="megapixels")
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter("{x:g}")
    panel.grid(True, which="major", color="#dddddd", lw=0.6)
    panel.spines[["top", "right"]].set_visible(False)


def annotate_memory(panel, record, task, name, point):
    """Writes the memory that a line's next size would need, where that is why the line ends."""
    for row in record["rows"]:
        if (row["task"], row["implementation"]) == (task, name) and "exceed" in row.get(
            "skipped", ""
        ):
            needs = f"{row['temporary_megabytes'] / 1e3:.0f} GB at {pixels(row) / 1e6:.0f} MP"
            options = {"color": COLORS[name], "fontsize": 8, "ha": "right"}
            panel.annotate(needs, point, (-3, 6), textcoords="offset points", **options)


def pixels(row):
    """Number of pixels of a row's image."""
    height, width, _ = slice_apply.SIZES[row["size"]]
    return height * width

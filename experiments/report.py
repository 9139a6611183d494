"""Report of a run or a sweep as one HTML file: `python -m experiments.report WORKDIR [--out FILE]`.

The file is self-contained and opens without a network. The page says what a run did not record.
"""

import importlib
import json
import pathlib
import sys

from bilateral_jax import atomic
from bilateral_jax.cli import arguments as arguments_lib
from bilateral_jax.cli import errors
from bilateral_jax.training import summary_writer
from experiments.evaluation import protocol
from experiments.reports import figures, page, sweep_page
from experiments.reports import photos as photos_lib
from experiments.runs import config_differences
from experiments.runs import workdir as workdir_lib
from experiments.sweeps import results

_TIMES = ("seconds_input", "seconds_step", "seconds_hooks", "seconds")


def write(workdir, out=None, *, photos=6):
    """Writes the report of a run or a sweep.

    Args:
      workdir: folder of the run or of the sweep.
      out: path of the file; None for `report.html` in the folder.
      photos: largest number of photos of the last evaluation to show.

    Returns:
      Path of the file.

    Raises:
      ValueError: the folder holds neither a run nor a sweep, or `out` is a folder.
      OSError: the file's folder does not exist or cannot be written.
    """
    workdir = pathlib.Path(workdir)
    out = pathlib.Path(out) if out else workdir / "report.html"
    _check_out(out)
    if results.read(workdir) is not None:
        text = sweep_page.render(workdir, links_from=out.parent)
    elif (workdir / "config.json").exists():
        text = render(workdir, photos=photos)
    else:
        raise ValueError(
            f"workdir: {workdir} has neither config.json, as a run, nor results.json, as a sweep"
        )
    atomic.write_text(out, text)
    return out


def _check_out(out):
    """Refuses a file that could not be written, before the work."""
    if out.is_dir():
        raise ValueError(f"out: {out} is a folder; expected the name of a file")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"out: there is no folder {out.parent} for {out.name}")
    atomic.check_folder(out.parent)


def render(workdir, *, photos=6):
    """Renders the page of a run.

    Args:
      workdir: folder of the run.
      photos: largest number of photos to show.

    Returns:
      HTML.
    """
    config = atomic.read_json(workdir / "config.json")
    lines = summary_writer.read(workdir)
    train = [line for line in lines if line.get("kind") == "train"]
    evaluations = [line for line in lines if line.get("kind") == "eval"]
    environment = _read(workdir / "environment.json")
    sections = {
        "Held-out photos": _heldout(evaluations),
        "Before and after": _photos(workdir, photos),
        "Curves": _curves(train, evaluations),
        "Where the time went": _timing(train, evaluations),
        "Restarts and skipped steps": _incidents(workdir, train, environment),
        "Config": _config(config),
        "Environment": _environment(environment),
    }
    return page.page(f"Run {workdir.absolute().name}", _lead(workdir, config, lines), sections)


def _lead(workdir, config, lines):
    step, steps = max((line["step"] for line in lines), default=0), config.get("steps", 0)
    if step >= steps:
        state = f"Finished: {steps} steps."
    else:
        state = f"Not finished: step {step} of {steps}."
    seed = config.get("seed", "not recorded")
    lead = page.paragraph(f"{config.get('experiment', 'experiment')}, seed {seed}. {state}")
    kept = sorted(path.name for path in (workdir / "failure").glob("step_*") if path.is_dir())
    if kept:
        lead += page.paragraph(
            f"A loss or gradient was not finite; recorded for replay: {', '.join(kept)}.",
            kind="bad",
        )
    return lead


def _heldout(evaluations):
    if not evaluations:
        return page.paragraph("No evaluation was recorded.")
    last = evaluations[-1]
    names = [name for name in last if _is_metric(name)]
    known = [line for line in evaluations if line.get("psnr") is not None]
    best = max(known, key=lambda line: line["psnr"], default=last)
    rows = []
    if any(protocol.INPUT + name in last for name in names):
        baseline = [results.number(last.get(protocol.INPUT + name), "infinite") for name in names]
        rows.append(["untouched input", "", *baseline])
    marked = {"first evaluation": evaluations[0], "best PSNR": best, "last evaluation": last}
    for label, line in marked.items():
        values = [results.number(line.get(name), "infinite") for name in names]
        rows.append([label, str(line["step"]), *values])
    columns = range(1, len(names) + 2)
    return page.table(["", "step", *names], rows, numbers=columns)


def _curves(train, evaluations):
    names = dict.fromkeys(
        name for line in [*train, *evaluations] for name in line if _is_metric(name)
    )
    panels = []
    for name in sorted(names, key=lambda name: name not in ("loss", "psnr")):
        curves = {
            label: ([line["step"] for line in group if name in line],
                    [line[name] for line in group if name in line])
            for label, group in (("training", train), ("held out", evaluations))
        }  # fmt: skip
        curves = {label: curve for label, curve in curves.items() if curve[0]}
        level = evaluations[-1].get(protocol.INPUT + name) if evaluations else None
        panels.append(figures.panel(name, curves, level=level))
    return f'<div class="grid">{"".join(panels)}</div>' if panels else ""


def _timing(train, evaluations):
    if not any("seconds_step" in line for line in train):
        return page.paragraph("This run did not record where its time went.")
    waiting, steps, hooks = (
        sum(line.get(name, 0.0) or 0.0 for line in train)
        for name in ("seconds_input", "seconds_step", "seconds_hooks")
    )
    evaluating = sum(line.get("seconds", 0.0) or 0.0 for line in evaluations)
    parts = {
        "waiting for input": waiting,
        "steps": steps,
        "evaluation": evaluating,
        "checkpoints and other": max(0.0, hooks - evaluating),
    }
    timed = [line for line in train if line.get("seconds_step")]
    first = timed[0]
    note = page.paragraph(
        f"The first {first['step']} steps, with compilation, took {first['seconds_step']:.1f} s. "
        "Start-up, and steps repeated after a crash, are not counted."
    )
    waiting_percent = [
        100
        * line.get("seconds_input", 0.0)
        / (line.get("seconds_input", 0.0) + line["seconds_step"])
        for line in timed
    ]
    curve = {"waiting": ([line["step"] for line in timed], waiting_percent)}
    drawn = figures.panel("waiting for input, % of input and steps", curve, linear=True)
    return f'{page.share_bar(parts)}{note}<div class="grid">{drawn}</div>'


def _photos(workdir, count):
    found = photos_lib.evaluations(workdir)
    if not found:
        return page.paragraph("No photos were kept.")
    last = max(found)
    shown = photos_lib.read(found[last])
    chosen = dict(list(shown.items())[:count])
    if any(len(members) < 2 for members in chosen.values()):
        # A contact sheet that could not be split.
        sheet = next(iter(chosen.values()))["input"]
        return page.image_row([(f"step {last}", photos_lib.encode_jpeg(sheet, longest=1600))])
    jpegs, longest = photos_lib.compress(chosen, fraction=0.85)
    words = (
        f"After step {last}; {len(chosen)} of {len(shown)} photos, longest side at most {longest} "
        "pixels here. Drag, or use the arrow keys."
    )
    compared = "".join(page.comparison_slider(name, *photo) for name, photo in jpegs.items())
    progress = _progress(found, next(iter(chosen))) if chosen else ""
    return f'{page.paragraph(words)}<div class="grid">{compared}</div>{progress}'


def _progress(found, name):
    """The output for one photo at up to six evaluations."""
    steps = list(found)
    picked = sorted({steps[round(k * (len(steps) - 1) / 5)] for k in range(6)})
    cells = []
    for step in picked:
        members = photos_lib.read(found[step]).get(name, {})
        if "output" in members:
            cells.append((f"step {step}", photos_lib.encode_jpeg(members["output"], longest=256)))
    return f"<h3>{len(cells)} of {len(steps)} evaluations</h3>" + page.image_row(cells)


def _incidents(workdir, train, environment):
    starts = workdir_lib.recorded_starts(environment or {})
    content = ""
    if starts is None:
        content += page.paragraph("This run did not record its starts.")
    else:
        content += page.paragraph(f"{len(starts) - 1} restarts.")
        rows = [[str(each.get("step", "")), each.get("time", "")] for each in starts]
        content += page.table(["started from step", "time"], rows, numbers=[0])
    skipped = [(line["step"], line["skipped"]) for line in train if line.get("skipped")]
    total = sum(count for _, count in skipped)
    content += page.paragraph(f"{total:g} steps skipped because they were not finite.")
    if skipped:
        rows = [[str(step), f"{count:g}"] for step, count in skipped]
        content += page.table(["up to step", "skipped"], rows, numbers=[0, 1])
    for path in sorted((workdir / "failure").glob("step_*/failure.json")):
        content += page.paragraph(f"{path.parent.name}: {_read(path).get('message')}", kind="bad")
    return content


def _config(config):
    whole = page.details(
        "the whole config", f"<pre>{page.escape(json.dumps(config, indent=2))}</pre>"
    )
    name = config.get("experiment", "")
    try:
        base = importlib.import_module(f"configs.{name}").get_config()
    except ModuleNotFoundError as error:
        if error.name != f"configs.{name}":
            raise
        return page.paragraph(f"There is no configs/{name}.py to compare with.") + whole
    there, here = (
        config_differences.flat(json.loads(base.to_json())),
        config_differences.flat(config),
    )
    rows = [
        [key, *(repr(side[key]) if key in side else "-" for side in (there, here))]
        for key in sorted(there.keys() | here.keys())
        if there.get(key, "absent") != here.get(key, "absent")
    ]
    head = ["entry", f"configs/{name}.py", "this run"]
    same = page.paragraph(f"As configs/{name}.py.") if not rows else page.table(head, rows)
    return same + whole


def _environment(environment):
    if not environment:
        return page.paragraph("This run did not record its environment.")
    flat = config_differences.flat({name: v for name, v in environment.items() if name != "starts"})
    return page.table(["what", "value"], [[name, str(value)] for name, value in flat.items()])


def _is_metric(name):
    """Whether a record's entry is a metric of the network, not of the unprocessed input."""
    other = ("kind", "step", "skipped", *_TIMES)
    return name not in other and not name.startswith(protocol.INPUT)


def _read(path):
    return atomic.read_json(path) if path.exists() else None


def main(arguments=None):
    """Runs the command; returns its exit code."""
    parser = arguments_lib.Parser(prog="experiments.report", description=__doc__.split(":")[0])
    parser.add_argument("workdir", help="folder of a run or of a sweep")
    parser.add_argument("--out", help="the file; default: report.html in that folder")
    parser.add_argument("--photos", type=int, default=6, help="photos to show at most")
    return errors.exit_code(_run, parser.parse_args(arguments))


def _run(options):
    path = write(options.workdir, options.out, photos=options.photos)
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Report page of a sweep: table of results, plot, and the curves of all trials."""

import os

from bilateral_jax import atomic
from bilateral_jax.training import summary_writer
from experiments.evaluation import protocol
from experiments.reports import figures, page
from experiments.runs import config_differences
from experiments.sweeps import plot as plot_lib
from experiments.sweeps import results, trials


def render(workdir, *, links_from):
    """Renders the page of a sweep.

    Args:
      workdir: folder of the sweep.
      links_from: folder of the page, for relative links to the reports of single trials.

    Returns:
      HTML.
    """
    found = results.read(workdir)
    rows, metric, best = found["trials"], found["metric"], found["best"]
    with figures.style():
        plot = figures.inline_svg(plot_lib.figure(rows, metric=metric, best=best), "all trials")
    counts = {}
    for row in rows:
        counts[row["status"]] = counts.get(row["status"], 0) + 1
    state = ", ".join(f"{count} {status}" for status, count in counts.items())
    order = {"max": "largest", "min": "smallest"}[best]
    sections = {
        "Results": _table(workdir, rows, metric, links_from),
        "Over seeds": _seeds(rows, metric),
        "Plot": f'<div class="wide">{plot}</div>',
        "Curves": _curves(workdir, rows, metric),
        "What all trials share": _shared(workdir, rows),
    }
    lead = page.paragraph(f"{len(rows)} trials: {state}. Sorted by {metric}, {order} first.")
    return page.page(f"Sweep {workdir.absolute().name}", lead, sections)


def _table(workdir, rows, metric, links_from):
    overrides, metrics = results.columns(rows)
    metrics = [metric, *(n for n in metrics if n != metric and not n.startswith(protocol.INPUT))]
    names = results.short(overrides)
    body = []
    for row in rows:
        report = workdir / "trials" / row["trial"] / "report.html"
        status = row["status"]
        if report.exists():
            status = (status, os.path.relpath(report, links_from).replace(os.sep, "/"))
        body.append(
            [results.number(row["metrics"].get(name)) for name in metrics]
            + [str(row["overrides"].get(name, "")) for name in overrides]
            + [status, str(row["tries"]), f"{row['seconds']:.0f}", f"{row['step']}/{row['steps']}"]
            + [row["reason"]]
        )
    head = [*metrics, *names.values(), "status", "tries", "seconds", "step", "reason"]
    count = len(metrics) + len(overrides)
    return page.table(head, body, numbers=[*range(count), count + 1, count + 2, count + 3])


def _seeds(rows, metric):
    groups = results.over_seeds(rows, metric)
    if not groups:
        return ""
    body = []
    for rest, count, mean, deviation in groups:
        name = ", ".join(f"{name}={value}" for name, value in rest.items()) or "all"
        body.append([name, str(count), results.number(mean), f"{deviation:.2g}"])
    return page.table(
        ["overrides", "seeds", f"mean {metric}", "deviation"], body, numbers=[1, 2, 3]
    )


def _curves(workdir, rows, metric):
    curves = {}
    for row in rows:
        lines = summary_writer.read(workdir / "trials" / row["trial"])
        kept = [line for line in lines if line.get("kind") == "eval" and metric in line]
        if kept:
            curves[row["trial"]] = (
                [line["step"] for line in kept],
                [line[metric] for line in kept],
            )
    return figures.overlaid_curves(f"{metric}, held out", curves) if curves else ""


def _shared(workdir, rows):
    path = workdir / "trials" / rows[0]["trial"] / trials.CONFIG
    config = config_differences.flat(atomic.read_json(path)) if path.exists() else {}
    varied = set(results.columns(rows)[0])
    body = [[name, repr(value)] for name, value in config.items() if name not in varied]
    return page.details(f"{len(body)} entries", page.table(["entry", "value"], body))

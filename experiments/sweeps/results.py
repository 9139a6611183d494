"""Results of a sweep, one row per trial: reading, ranking, `results.json` and `results.csv`."""

import csv
import io
import json
import math

from bilateral_jax import atomic
from bilateral_jax.training import summary_writer

COLUMNS = ("trial", "status", "tries", "seconds", "step", "steps")


def measure(workdir):
    """Reads the step that a trial has reached and the metrics of its last evaluation.

    Args:
      workdir: folder of the trial.

    Returns:
      `(step, {metric: value})`.
    """
    step, metrics = 0, {}
    for line in summary_writer.read(workdir):
        step = max(step, line.get("step", 0))
        if line.get("kind") == "eval":
            metrics = {k: v for k, v in line.items() if k not in ("kind", "step", "seconds")}
    return step, metrics


def ranked(rows, metric, best):
    """Sorts rows: finished trials by the metric, then diverged, failed and unfinished ones.

    Args:
      rows: list of dicts.
      metric: name of the metric.
      best: "max" or "min".

    Returns:
      A new list.
    """
    order = ["done", "diverged", "failed"]

    def key(row):
        value = row["metrics"].get(metric)
        status = order.index(row["status"]) if row["status"] in order else len(order)
        sign = -1 if best == "max" else 1
        return (status, value is None, sign * (value or 0.0))

    return sorted(rows, key=key)


def write(folder, rows, sweep):
    """Writes `results.json` and `results.csv`.

    Args:
      folder: folder of the sweep.
      rows: list of dicts, sorted.
      sweep: `{"metric", "best"}`, stored in the JSON file.
    """
    atomic.write_json(folder / "results.json", {**sweep, "trials": rows})
    overrides, metrics = columns(rows)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*COLUMNS, *overrides, *metrics, "reason"])
    for row in rows:
        writer.writerow(
            [row[name] for name in COLUMNS]
            + [row["overrides"].get(name, "") for name in overrides]
            + [row["metrics"].get(name, "") for name in metrics]
            + [row["reason"]]
        )
    atomic.write_text(folder / "results.csv", buffer.getvalue())


def read(folder):
    """Reads `results.json`; None if there is none."""
    path = folder / "results.json"
    return atomic.read_json(path) if path.exists() else None


def columns(rows):
    """Names of all overrides and of all metrics, in order of appearance."""
    overrides = dict.fromkeys(name for row in rows for name in row["overrides"])
    metrics = dict.fromkeys(name for row in rows for name in row["metrics"])
    return list(overrides), list(metrics)


def short(names):
    """Shortest unique suffixes of dotted names, `{"model.luma_bins": "luma_bins"}`."""
    found = {}
    for name in names:
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            ending = ".".join(parts[-count:])
            clash = [n for n in names if n != name and ("." + n).endswith("." + ending)]
            if not clash:
                break
        found[name] = ending
    return found


def table(rows, metric):
    """Formats rows as a table for a terminal.

    Args:
      rows: list of dicts, sorted.
      metric: name of the metric to show.

    Returns:
      Text.
    """
    overrides, _ = columns(rows)
    names = short(overrides)
    head = [metric, *names.values(), "status", "tries", "seconds", "step"]
    body = [
        [
            number(row["metrics"].get(metric)),
            *[str(row["overrides"].get(name, "")) for name in overrides],
            row["status"],
            str(row["tries"]),
            f"{row['seconds']:.0f}",
            f"{row['step']}/{row['steps']}",
        ]
        for row in rows
    ]
    widths = [max(len(cell) for cell in column) for column in zip(head, *body)]
    text = [
        "  ".join(cell.rjust(width) for cell, width in zip(cells, widths))
        for cells in [head, *body]
    ]
    for row in rows:
        if row["reason"]:
            text.append(f"{row['trial']}: {row['reason']}")
    return "\n".join(text)


def over_seeds(rows, metric):
    """Mean and sample standard deviation of a metric over trials that differ in `seed` alone.

    Args:
      rows: list of dicts.
      metric: name of the metric.

    Returns:
      A list of `(overrides without seed, count, mean, deviation)`; empty where no seed varies.
    """
    groups = {}
    for row in rows:
        value = row["metrics"].get(metric)
        if row["status"] == "done" and value is not None and "seed" in row["overrides"]:
            rest = {k: v for k, v in row["overrides"].items() if k != "seed"}
            groups.setdefault(json.dumps(rest, sort_keys=True), (rest, []))[1].append(value)
    summary = []
    for rest, values in groups.values():
        if len(values) > 1:
            mean = math.fsum(values) / len(values)
            spread = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
            summary.append((rest, len(values), mean, math.sqrt(spread)))
    return summary


def number(value, missing="-"):
    """Formats a number for a table; `missing` stands for None."""
    if value is None:
        return missing
    size = abs(value)
    return f"{value:.2f}" if size >= 10 else f"{value:.4f}" if size >= 1e-3 else f"{value:.3g}"

"""Console table of measurements."""

import os

HEADER = (
    f"{'':24} {'task':17} {'':10} {'ms':>8} {'ns/pixel':>8} {'cores':>5}  {'ratio':20}"
    f"{'fresh MB':>8} {'temp MB':>8} {'peak MB':>8} {'compile s':>9}"
)


def line(label, row):
    """One line under `HEADER`: `row` is a summary with `pixels` and `task`."""
    text = f"{label:24} {row['task']:17} {row['implementation']:10} "
    if "skipped" in row:
        return text + row["skipped"]
    wall, cpu = (row[key][1] for key in ("wall_seconds", "cpu_seconds_per_core"))
    busy = cpu / wall * os.cpu_count()
    text += f"{wall * 1e3:8.2f} {wall / row['pixels'] * 1e9:8.1f} {busy:5.1f}  "
    text += f"{spread(row.get('wall_ratio')):20}"
    text += number(row.get("fresh_megabytes"), 8, 0)
    text += number(row.get("temporary_megabytes"), 9, 1) + number(row.get("peak_megabytes"), 9, 0)
    return text + number(row.get("compile_cpu_seconds"), 10, 2)


def spread(quartiles):
    """`median [lower quartile, upper quartile]`."""
    if quartiles is None:
        return ""
    low, middle, high = quartiles
    return f"{middle:.3g} [{low:.3g}, {high:.3g}]"


def number(value, width, digits):
    return " " * width if value is None else f"{value:{width}.{digits}f}"

"""Plot of a sweep: parallel coordinates, or a scatter plot where one parameter varies."""

import math

from experiments.sweeps import results

WORST, BEST, NO_RESULT = "#8fa3b5", "#e4572e", "#888888"  # readable on white and on black
PAPER = "#fefefe"  # background of tick labels; a report replaces it by the page's colour
_ORDINAL = 8  # up to this many numeric values are spaced evenly


def draw(folder, rows, *, metric, best):
    """Writes `results.svg` and `results.png`.

    Args:
      folder: folder to write to.
      rows: list of dicts as in `results.json`, best first.
      metric: name of the metric.
      best: "max" or "min".
    """
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "sweep"}):
        shown = figure(rows, metric=metric, best=best)
        shown.savefig(folder / "results.svg", metadata={"Date": None})
        shown.savefig(folder / "results.png", dpi=120)


def figure(rows, *, metric, best):
    """Plots rows in a matplotlib figure; arguments as for `draw`."""
    from matplotlib.figure import Figure

    axes = parameters(rows)
    width = 7.0 if len(axes) < 2 else 2.0 * len(axes) + 2.6
    plot = Figure(figsize=(width, 4.2), layout="constrained")
    panel = plot.add_subplot()
    panel.spines[["top", "right"]].set_visible(False)
    colours = _colours(rows, metric, best)
    if len(axes) == 1:
        _scatter(panel, rows, *next(iter(axes.items())), metric, colours)
    else:
        _parallel(panel, rows, axes, metric, colours)
    return plot


def parameters(rows):
    """Finds the parameters that vary.

    Args:
      rows: list of dicts as in `results.json`.

    Returns:
      `{name: values in order}`; the seed only where nothing else varies.
    """
    found = {}
    for name in results.columns(rows)[0]:
        overrides = [row["overrides"].get(name) for row in rows]
        values = list({str(value): value for value in overrides}.values())
        if len(values) > 1:
            found[name] = sorted(values) if all(map(_numeric, values)) else values
    if len(found) > 1:
        found.pop("seed", None)
    return found or {"trial": [row["trial"] for row in rows]}


def _scatter(panel, rows, name, values, metric, colours):
    position, ticks = _axis(values)
    for row in reversed(rows):
        value = row["metrics"].get(metric)
        x = position(row["overrides"].get(name, row["trial"]))
        if value is None or row["status"] != "done":
            panel.plot(
                x, 0.0, "x", color=NO_RESULT, transform=panel.get_xaxis_transform(), clip_on=False
            )
        else:
            panel.plot(x, value, "o", color=colours[row["trial"]], markersize=8)
    panel.set_xticks([x for x, _ in ticks], [text for _, text in ticks])
    panel.set_xlabel(name)
    panel.set_ylabel(metric)
    panel.grid(axis="y", alpha=0.3)


def _parallel(panel, rows, axes, metric, colours):
    scales = {name: _axis(values) for name, values in axes.items()}
    found = [row["metrics"][metric] for row in rows if row["trial"] in colours]
    low, high = (min(found), max(found)) if found else (0.0, 1.0)
    last = len(axes)
    for order, row in enumerate(reversed(rows)):
        offset = 0.05 * ((order + 0.5) / len(rows) - 0.5)  # separates trials with equal values
        heights = [
            position(row["overrides"].get(name)) + offset for name, (position, _) in scales.items()
        ]
        colour = colours.get(row["trial"])
        end = -0.12 if colour is None else (row["metrics"][metric] - low) / ((high - low) or 1.0)
        winner = row is rows[0] and colour is not None
        _curve(panel, [*heights, end], colour or NO_RESULT, 3.0 if winner else 1.4, colour is None)
    for column, (_, ticks) in enumerate(scales.values()):
        _scale(panel, column, ticks, "right")
    steps = [low + (high - low) * part / 4 for part in range(5)] if found else []
    ticks = [((v - low) / ((high - low) or 1.0), results.number(v)) for v in dict.fromkeys(steps)]
    if len(found) < len(rows):
        ticks.append((-0.12, "no result"))
    _scale(panel, last, ticks, "left")
    panel.set_xticks(range(last + 1), [*results.short(list(axes)).values(), metric])
    panel.tick_params(axis="x", length=0, pad=8)
    panel.set_yticks([])
    panel.spines[["left", "bottom"]].set_visible(False)
    panel.set_xlim(-0.45, last + 0.45)
    panel.set_ylim(-0.2, 1.08)


def _curve(panel, heights, colour, width, dashed):
    from matplotlib import patches, path

    points, codes = [(0, heights[0])], [path.Path.MOVETO]
    for x, (here, there) in enumerate(zip(heights, heights[1:])):
        points += [(x + 0.5, here), (x + 0.5, there), (x + 1, there)]
        codes += [path.Path.CURVE4] * 3
    panel.add_patch(
        patches.PathPatch(
            path.Path(points, codes), facecolor="none", edgecolor=colour, linewidth=width,
            linestyle="--" if dashed else "-", alpha=0.9,
        )
    )  # fmt: skip


def _scale(panel, column, ticks, side):
    panel.axvline(column, color=WORST, linewidth=0.8, zorder=0)
    for height, text in ticks:
        panel.plot([column - 0.02, column + 0.02], [height, height], color=WORST, linewidth=0.8)
        shift = -0.04 if side == "right" else 0.04
        paper = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.75, "pad": 1.0}
        panel.text(column + shift, height, text, ha=side, va="center", fontsize=9, bbox=paper)


def _axis(values):
    """Scale of an axis: `value -> position in [0, 1]`, and the ticks `(position, text)`."""
    if len(values) > _ORDINAL and all(map(_numeric, values)):
        log = values[0] > 0 and values[-1] / values[0] >= 20
        transform = math.log10 if log else float
        low, high = transform(values[0]), transform(values[-1])

        def position(value):
            return (transform(value) - low) / (high - low)

        every = (len(values) - 1) / 4
        shown = [values[round(every * part)] for part in range(5)]
        return position, [(position(value), f"{value:g}") for value in shown]
    positions = {str(v): i / max(1, len(values) - 1) for i, v in enumerate(values)}
    texts = [f"{v:g}" if _numeric(v) else str(v)[-24:] for v in values]
    return lambda value: positions[str(value)], list(zip(positions.values(), texts))


def _numeric(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def _colours(rows, metric, best):
    """Colours by rank, from `BEST` to `WORST`, of the trials with a result."""
    from matplotlib import colors

    scale = colors.LinearSegmentedColormap.from_list("rank", [BEST, WORST])
    ranked = [
        row["trial"]
        for row in results.ranked(rows, metric, best)
        if row["status"] == "done" and row["metrics"].get(metric) is not None
    ]
    return {name: scale(rank / max(1, len(ranked) - 1)) for rank, name in enumerate(ranked)}

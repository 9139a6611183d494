"""Plots of curves as inline SVG, in colours of the page's style sheet (light or dark)."""

import html
import io
import re

import numpy as np

from experiments.sweeps import plot

_POINTS = 300  # per curve; a longer one is drawn as means with the range of their values
# Placeholder colours, replaced in the SVG by variables of the page's style sheet.
_INK, _LINE = "#123456", "#123457"
SERIES = ("#123460", "#123461", "#123462")
_VARIABLES = {
    _INK: "var(--ink)",
    _LINE: "var(--line)",
    SERIES[0]: "var(--first)",
    SERIES[1]: "var(--second)",
    SERIES[2]: "var(--third)",
    plot.PAPER: "var(--paper)",
}
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _LINE,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _LINE,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
}


def panel(name, curves, *, level=None, linear=False):
    """Plots one quantity over the steps.

    Args:
      name: name of the quantity; also the accessible label of the figure.
      curves: `{label: (steps, values)}`; a value is None where it was not finite.
      level: constant drawn as a dashed line, the value of the untouched input; or None.
      linear: keep a linear vertical axis; otherwise it is logarithmic for a range above 30.

    Returns:
      An SVG element as text.
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(4.8, 2.7), layout="constrained")
        axes = figure.add_subplot()
        drawn = []
        for (label, (steps, values)), colour in zip(curves.items(), SERIES):
            values = np.array([np.nan if v is None else v for v in values], float)
            centre, mean, low, high = _downsample(np.asarray(steps, float), values)
            few = {"marker": "o", "markersize": 3.5} if len(centre) < 40 else {}
            axes.plot(centre, mean, color=colour, linewidth=1.6, label=label, **few)
            axes.fill_between(centre, low, high, color=colour, alpha=0.2, linewidth=0)
            drawn.append(values[np.isfinite(values)])
        if level is not None:
            axes.axhline(level, color=_INK, linestyle="--", linewidth=1, label="untouched input")
        drawn = np.concatenate(drawn)
        if not linear and drawn.size and drawn.min() > 0 and drawn.max() / drawn.min() > 30:
            axes.set_yscale("log")
        axes.set_title(name, loc="left", fontsize=11)
        axes.set_xlabel("step")
        axes.grid(axis="y", linewidth=0.6)
        if len(curves) > 1 or level is not None:
            axes.legend(fontsize=8.5)
        return inline_svg(figure, name)


def overlaid_curves(name, curves):
    """Plots many curves of one quantity, the first one highlighted and in front.

    Args:
      name: name of the quantity.
      curves: `{label: (steps, values)}`, the best first.

    Returns:
      An SVG element in a scrollable `div`, as text.
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(8, 4), layout="constrained")
        axes = figure.add_subplot()
        for index, (label, (steps, values)) in enumerate(curves.items()):
            values = np.array([np.nan if v is None else v for v in values], float)
            centre, mean, *_ = _downsample(np.asarray(steps, float), values)
            first = index == 0
            axes.plot(
                centre, mean, color=SERIES[1 if first else 0], linewidth=2.2 if first else 1.0,
                alpha=1.0 if first else 0.45, zorder=3 if first else 2,
                label=label if first else "the others" if index == 1 else None,
            )  # fmt: skip
        axes.set_ylabel(name)
        axes.set_xlabel("step")
        axes.grid(axis="y", linewidth=0.6)
        axes.legend(fontsize=9)
        return f'<div class="wide">{inline_svg(figure, name)}</div>'


def inline_svg(figure, name):
    """Converts a matplotlib figure to an SVG element in colours of the page's style sheet.

    Args:
      figure: the figure, drawn under `style()`.
      name: accessible label; it prefixes the SVG's ids, so it must be unique on the page.

    Returns:
      Text.
    """
    buffer = io.StringIO()
    with style():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r' xmlns(?::xlink)?="[^"]*"', "", text)  # HTML does not need them
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.S)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    prefix = re.sub(r"\W", "-", name)
    for before in ('id="', 'href="#', "url(#"):
        text = text.replace(before, f"{before}{prefix}-")
    for placeholder, variable in _VARIABLES.items():
        text = text.replace(placeholder, variable)
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(name)}"', 1)


def style():
    """Matplotlib style context for figures that go through `inline_svg`."""
    import matplotlib

    return matplotlib.rc_context(_STYLE)


def _downsample(steps, values):
    """Splits a curve into equal parts; returns mean step, mean, minimum and maximum of each."""
    if len(steps) <= _POINTS:
        return steps, values, values, values
    parts = np.array_split(np.arange(len(steps)), _POINTS)
    kept = [part[np.isfinite(values[part])] for part in parts]
    kept = [part for part in kept if part.size]
    reduce = [lambda x: x.mean(), lambda x: x.min(), lambda x: x.max()]
    columns = [np.array([f(values[part]) for part in kept]) for f in reduce]
    return np.array([steps[part].mean() for part in kept]), *columns

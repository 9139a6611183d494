"""Draws docs/figures/conventions.png: `python -m docs.figures.conventions`.

Every position comes from `bilateral_jax.lattice`, so the figure agrees with the code.
"""

import pathlib

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from bilateral_jax import lattice

PIXELS, CELLS = 12, 4
COLORS = ("#3366aa", "#cc6633", "#339966", "#8855aa")
GREY = "#888888"
TITLES = {
    "half_pixel": 'convention="half_pixel" (default): cells tile the image',
    "align_corners": 'convention="align_corners": end cells sit on the end pixels',
}


def pixel_of(cell, convention):
    """Pixel coordinate of a cell's centre (pixel k spans [k, k + 1])."""
    ends = lattice.positions(np.array([0, PIXELS - 1]), PIXELS, CELLS, convention)
    return 0.5 + (cell - ends[0]) * (PIXELS - 1) / (ends[1] - ends[0])


def draw_centres(axes, convention):
    """Pixels above, cells below, lines from every pixel centre to the cells that it reads."""
    centres = pixel_of(np.arange(CELLS), convention)
    half = (centres[1] - centres[0]) / 2
    for index in range(PIXELS):
        axes.add_patch(plt.Rectangle((index, 1.0), 1, 0.35, fc="#eeeeee", ec="white"))
        axes.text(index + 0.5, 1.175, str(index), ha="center", va="center", fontsize=8)
    for cell, (centre, color) in enumerate(zip(centres, COLORS, strict=True)):
        rectangle = plt.Rectangle(
            (centre - half, 0), 2 * half, 0.35, fc=color, ec="white", alpha=0.25
        )
        axes.add_patch(rectangle)
        axes.plot(centre, 0.175, "o", color=color, ms=7)
        axes.text(centre, -0.12, f"cell {cell}", ha="center", va="top", fontsize=8, color=color)
    for index in range(PIXELS):
        position = lattice.positions(np.array(index), PIXELS, CELLS, convention)
        lower, upper, fraction = lattice.corners(position, CELLS, "clamp")
        for cell, weight in ((lower, 1 - fraction), (upper, fraction)):
            if weight > 0:
                line = [index + 0.5, centres[cell]], [1.0, 0.235]
                axes.plot(*line, color=COLORS[cell], lw=2 * weight, alpha=0.7)
    axes.set(xlim=(-1.6, PIXELS + 1.6), ylim=(-0.35, 1.55), xticks=[], yticks=[])
    axes.set_title(TITLES[convention], fontsize=10, loc="left")
    axes.text(-0.2, 1.175, "pixels", ha="right", va="center", fontsize=8)
    for side in axes.spines.values():
        side.set_visible(False)


def draw_tents(axes, convention):
    """The weight of every cell along the image; flat where the border clamps."""
    column = np.linspace(0, PIXELS, 601)
    ends = lattice.positions(np.array([0, PIXELS - 1]), PIXELS, CELLS, convention)
    position = ends[0] + (column - 0.5) * (ends[1] - ends[0]) / (PIXELS - 1)
    weights = lattice.tents(position, CELLS, "clamp")
    centres = pixel_of(np.arange(CELLS), convention)
    for left, right in ((0, centres[0]), (centres[-1], PIXELS)):
        axes.axvspan(left, right, color="#dddddd", lw=0)
    for cell in range(CELLS):
        weight = np.where(weights[:, cell] > 0, weights[:, cell], np.nan)
        axes.plot(column, weight, color=COLORS[cell])
        axes.plot(centres[cell], 1, "o", color=COLORS[cell], ms=6)
    axes.plot(column, weights.sum(-1), ":", color=GREY, lw=1)
    shown = "half\na cell" if convention == "half_pixel" else "half\na pixel"
    axes.text(-0.1, 0.5, f"flat:\n{shown}", fontsize=8, color="#444444", ha="right", va="center")
    axes.set(
        xlim=(-1.6, PIXELS + 1.6), ylim=(0, 1.15), xticks=range(0, PIXELS + 1, 3), yticks=[0, 1]
    )
    axes.set_xlabel("column in the image (pixel k spans k to k + 1)", fontsize=8)
    axes.set_ylabel("weight", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def draw_depth(axes):
    """Depth position of a guide value, in both conventions, clamped."""
    guide = np.linspace(-0.2, 1.2, 701)
    for convention, style in (("half_pixel", "-"), ("align_corners", "--")):
        position = lattice.unit_positions(guide, CELLS, convention)
        clamped = np.clip(position, 0, CELLS - 1)
        axes.plot(guide, clamped, style, color="#333333", label=convention)
    for cell, color in enumerate(COLORS):
        axes.axhline(cell, color=color, lw=1, alpha=0.4)
    for edge in (0, 1):
        axes.axvline(edge, color=GREY, lw=0.8, ls=":")
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    axes.set(xlim=(-0.2, 1.2), ylim=(-0.3, CELLS - 0.7), xticks=[0, 0.5, 1], yticks=range(CELLS))
    axes.set_xlabel("guide value", fontsize=8)
    axes.set_ylabel("position along gd", fontsize=8)
    axes.set_title(
        "depth: half_pixel is flat for half a cell at guide 0 and 1", fontsize=10, loc="left"
    )
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def draw_window(axes):
    """The window of a crop on the grid of the whole image."""
    height, width, rows, columns = 12, 18, 3, 4
    top, left, h, w = 4, 6, 6, 8
    for row in range(rows):
        for column in range(columns):
            corner = (column * width / columns, row * height / rows)
            size = (width / columns, height / rows)
            axes.add_patch(plt.Rectangle(corner, *size, fc="white", ec="#bbbbbb"))
            axes.plot(corner[0] + size[0] / 2, corner[1] + size[1] / 2, "o", color=COLORS[0], ms=6)
    axes.add_patch(plt.Rectangle((0, 0), width, height, fc="none", ec="black", lw=1.2))
    axes.add_patch(plt.Rectangle((left, top), w, h, fc=COLORS[1], ec=COLORS[1], alpha=0.3))
    arrow = {"arrowstyle": "<->", "color": "#333333", "shrinkA": 0, "shrinkB": 0}
    for start, end, label, where, align in (
        ((left + 2, 0), (left + 2, top), "top", (left + 2.2, top / 2 + 1), "left"),
        ((0, top + h / 2), (left, top + h / 2), "left", (left / 2, top + h / 2 - 0.5), "center"),
        ((0, -0.7), (width, -0.7), "full_width", (width / 2, -1.0), "center"),
        ((-0.7, 0), (-0.7, height), "full_height", (-1.0, height / 2), "right"),
    ):
        axes.annotate("", end, start, arrowprops=arrow)
        axes.text(
            *where, label, fontsize=8, ha=align, va="bottom" if align == "center" else "center"
        )
    axes.text(left + w / 2, top + h / 2 + 2, "guide of the crop, [h, w]", fontsize=8, ha="center")
    axes.set(
        xlim=(-4.5, width + 0.5), ylim=(height + 0.5, -2.2), xticks=[], yticks=[], aspect="equal"
    )
    axes.set_title("window=(top, left, full_height, full_width)", fontsize=10, loc="left")
    for side in axes.spines.values():
        side.set_visible(False)


def main():
    """Draws all panels into one file beside this script."""
    matplotlib.use("agg")
    figure, axes = plt.subplots(3, 2, figsize=(11, 9), height_ratios=(1.1, 1, 1.8))
    for column, convention in enumerate(lattice.CONVENTIONS):
        draw_centres(axes[0, column], convention)
        draw_tents(axes[1, column], convention)
    draw_depth(axes[2, 0])
    draw_window(axes[2, 1])
    figure.tight_layout()
    # No date or version in the file: the same figure gives the same bytes.
    path = pathlib.Path(__file__).with_suffix(".png")
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()

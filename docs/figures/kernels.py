"""Draws docs/figures/kernels.png: `python -m docs.figures.kernels`.

The arithmetic of a kernel without gather: a small grid of random entries, one column tile, one
chunk of rows. Weights come from `bilateral_jax.lattice`.
"""

import pathlib

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from bilateral_jax import lattice as lattice_lib

LATTICE = lattice_lib.Lattice((3, 4, 4), (48, 64), (48, 64))
CHUNK = slice(16, 32)  # rows
CELL, PLANE = 1, 2  # the term that is shown
LABEL = dict(fontsize=9)


def numbers():
    """Every array of the figure, by name."""
    gh, gw, gd = LATTICE.grid_shape
    entry = np.random.default_rng(3).uniform(-1, 1, (gh, gd, gw))
    column_tents = lattice_lib.tents(LATTICE.columns(), gw, "clamp").T
    row_tents = lattice_lib.tents(LATTICE.rows(), gh, "clamp")[CHUNK]
    y, x = np.mgrid[CHUNK, : LATTICE.size[1]]
    guide = 0.5 + 0.45 * np.sin(x / 9.0 + y / 5.0)
    depth_tents = lattice_lib.tents(LATTICE.depth(guide), gd, "clamp")
    table = entry.reshape(gh * gd, gw) @ column_tents
    row = table[CELL * gd + PLANE]
    sliced = np.einsum("yj,yxk,jkx->yx", row_tents, depth_tents, table.reshape(gh, gd, -1))
    return {
        "entry": entry.reshape(gh * gd, gw),
        "column_tents": column_tents,
        "table": table,
        "guide": guide,
        "row_tent": np.broadcast_to(row_tents[:, CELL, None], guide.shape),
        "depth_tent": depth_tents[..., PLANE],
        "row": np.broadcast_to(row, guide.shape),
        "sliced": sliced,
    }


def show(axes, array, title, rows, columns, *, weights=False):
    """One array as a heat map; weights from white to green, entries from blue to red."""
    scale = dict(cmap="Greens", vmin=0, vmax=1) if weights else dict(cmap="RdBu_r", vmin=-1, vmax=1)
    axes.imshow(array, aspect="auto", interpolation="nearest", **scale)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, **LABEL)
    axes.set_xlabel(columns, **LABEL)
    axes.set_ylabel(rows, **LABEL)


def join(figure, left, right, symbol):
    """Writes a sign in the gap between two panels."""
    a, b = left.get_position(), right.get_position()
    position = (a.x1 + b.x0) / 2 - 0.004, (a.y0 + a.y1) / 2
    figure.text(*position, symbol, ha="center", va="center", fontsize=15)


def main():
    """Draws both steps into one file beside this script."""
    matplotlib.use("agg")
    arrays = numbers()
    gd = LATTICE.grid_shape[2]
    figure = plt.figure(figsize=(12, 5.6))
    upper = figure.add_gridspec(
        1, 3, left=0.05, right=0.78, bottom=0.62, top=0.88, wspace=0.22, width_ratios=(1, 2.6, 2.6)
    ).subplots()
    show(upper[0], arrays["entry"], "one entry of the grid", "(cell, plane)", "gw cells")
    show(upper[1], arrays["column_tents"], "column tents", "gw cells", "columns", weights=True)
    show(upper[2], arrays["table"], "the column tile's table", "(cell, plane)", "columns")
    upper[2].add_patch(
        plt.Rectangle((-0.5, CELL * gd + PLANE - 0.5), 64, 1, fill=False, ec="black", lw=1.5)
    )
    lower = figure.add_gridspec(
        1, 4, left=0.05, right=0.98, bottom=0.1, top=0.36, wspace=0.22
    ).subplots()
    for axes, name, title in (
        (lower[0], "row_tent", f"row tent of cell {CELL}"),
        (lower[1], "depth_tent", f"depth weight of plane {PLANE}"),
        (lower[2], "row", "that row of the table, broadcast"),
        (lower[3], "sliced", "the entry at each pixel"),
    ):
        show(axes, arrays[name], title, "rows", "columns", weights=axes in lower[:2])
    for pair, sign in (((upper[0], upper[1]), "@"), ((upper[1], upper[2]), "=")):
        join(figure, *pair, sign)
    for pair, sign in zip(zip(lower, lower[1:], strict=False), ("×", "×", "→"), strict=True):
        join(figure, *pair, sign)
    figure.text(0.05, 0.95, "1. once per column tile: a matrix product along gw", fontsize=11)
    text = "2. per chunk of pixels: arithmetic on planes, summed over the few cells and all planes"
    figure.text(0.05, 0.44, text, fontsize=11)
    note = (
        "Splatting runs both\nsteps backwards:\nthe weighted pixels\nof a column add up\n"
        "in the table's row,\nthen the table times\nthe tents' transpose."
    )
    figure.text(0.8, 0.75, note, fontsize=9, va="center")
    # Without the date and the version in it, the same figure is the same file.
    path = pathlib.Path(__file__).with_suffix(".png")
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()

"""Slicing and splatting as dense arithmetic: fast on a CPU, correct on every device.

A gather of eight corners costs XLA a materialised array per corner. Here nothing is gathered and nothing scattered:

1.  The picture's columns are cut into equal blocks, narrow enough that one block meets only a few neighbouring
    cells, its `taps` (ops/blocks.py). Which cells, and with which weights, depends on the lattice alone.
2.  The tiny grid is turned into a table `[n, row, tap, plane, o, j, block]`: interpolated along gh for each row, and
    laid out by tap and depth cell for each block. That is two small matrix products.
3.  A pixel's coefficient is `sum over taps and depth planes of x_tent * z_tent * table`, unrolled in Python as
    arithmetic on whole pictures, where a table entry is one number for a block's row: the compiler keeps it in a
    register and vectorises along the block.

Splatting is the transpose: one matrix product per row and block contracts pixels, two small ones put the
blocks' taps and the rows back into cells.

Receives normalised arrays (see ops/reference.py, whose functions these are) from `ops/bilateral.py`.
Hands pixels or grids back to it.
"""

import functools
import operator

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax import lattice as lattice_lib
from bilateral_jax.ops import blocks as blocks_lib
from bilateral_jax.ops import reference

# Terms (taps * depth planes * features) that are unrolled into one loop; beyond, a matrix product does it.
_UNROLLED_TERMS = 1536
_EXACT = jax.lax.Precision.HIGHEST


def slice_apply(grid, guide, image=None, window=None, *, lattice, order, dtype):
    """`reference.slice_apply`, as dense arithmetic.

    Args:
      grid: `[n, gh, gw, gd, o, j]`.
      guide: `[n, h, w]`.
      image: `[n, h, w, i]`, or None for the looked-up features alone.
      window: int32 `[n, 4]`, (top, left, full height, full width) per example, or None for the lattice's own.
      lattice: the `Lattice` of these pixels.
      order: 0 for the value; 1 for its derivative in the guide.
      dtype: of the result; sums are float32 (float64 if an input is).

    Returns:
      `[n, h, w, o]`.
    """
    accumulate = reference.accumulation_dtype(grid, guide, image)
    depth = lattice.depth(guide.astype(accumulate))
    blocks = blocks_lib.column_blocks(lattice, window)
    planes, cells = _depth_planes(blocks.split(depth), lattice, order)
    if not planes:
        return jnp.zeros((*guide.shape, grid.shape[-2]), dtype)
    tents = _row_tents(lattice, window).astype(accumulate)
    table = _table(grid.astype(accumulate), tents, blocks, cells)
    extended = [] if image is None else _channels(image.astype(accumulate), blocks)
    extended += [None] * (grid.shape[-1] - len(extended))
    unrolled = len(planes) * blocks.taps * grid.shape[-2] * grid.shape[-1] <= _UNROLLED_TERMS
    out = (_look_up_unrolled if unrolled else _look_up_multiplied)(table, planes, blocks, extended)
    out = blocks.join(out)
    if order == 0:
        out = jnp.where(jnp.isnan(guide)[..., None], jnp.nan, out)
    return out.astype(dtype)


def splat_apply(values, guide, image=None, window=None, *, lattice, order, offset, dtype):
    """`reference.splat_apply`, as dense arithmetic.

    Args:
      values: `[n, h, w, o]`.
      guide: `[n, h, w]`.
      image: `[n, h, w, i]` or None.
      window: as in `slice_apply`.
      lattice: the `Lattice` of these pixels.
      order: 0, or 1 for the derivative in the guide.
      offset: whether `e` ends in a 1; always true without an image.
      dtype: of the result.

    Returns:
      `[n, gh, gw, gd, o, j]`.
    """
    accumulate = reference.accumulation_dtype(values, guide, image)
    features = (values.shape[-1], (0 if image is None else image.shape[-1]) + int(offset))
    lost = jnp.isnan(guide)
    blocks = blocks_lib.column_blocks(lattice, window)
    planes, cells = _depth_planes(
        blocks.split(lattice.depth(guide.astype(accumulate))), lattice, order
    )
    if not planes:
        return jnp.zeros((guide.shape[0], *lattice.grid_shape, *features), dtype)
    values = jnp.where(lost[..., None], 0, values.astype(accumulate))
    values = _channels(values, blocks)
    extended = [] if image is None else _channels(image.astype(accumulate), blocks)
    extended += [None] * (features[1] - len(extended))
    matrices = jnp.stack(
        [value if e is None else value * e for value in values for e in extended], axis=3
    )
    weights = jnp.stack([t * plane for t in _tap_tents(blocks, accumulate) for plane in planes], 3)
    table = jnp.einsum("nhbkp,nhbcp->nhkcb", weights, matrices, precision=_EXACT)
    table = table.reshape(*table.shape[:2], blocks.taps, len(planes), *features, blocks.count)
    tents = _row_tents(lattice, window).astype(accumulate)
    return _cells_of_table(table, tents, blocks, cells).astype(dtype)


def _depth_planes(depth, lattice, order):
    """Weights of depth positions, plane by plane, and the grid cells that each plane weighs.

    Written with comparisons: `where` is one instruction, while `clip` spends four on letting NaN through.

    Returns:
      `(planes, cells)`: arrays of the shape of `depth`, and a float `[plane, gd]` matrix. A NaN position weighs
      what cell 0 weighs.
    """
    gd = lattice.grid_shape[2]
    wrap = lattice.boundary[2] == "wrap"
    if wrap:
        depth = depth - gd * jnp.floor(depth / gd)
    last = gd if wrap else gd - 1
    if order == 0:
        depth = _clip(depth, 0, last)
        planes = [_positive(1 - abs(depth - k)) for k in range(last + 1)]
        return planes, np.eye(gd)[np.arange(last + 1) % gd]
    # Between centres k and k + 1 the slope is the difference of the two cells; at a centre, the one to its right.
    planes = [((depth >= k) & (depth < k + 1)).astype(depth.dtype) for k in range(last)]
    upper, lower = np.arange(1, last + 1) % gd, np.arange(last)
    return planes, lattice.depth_scale * (np.eye(gd)[upper] - np.eye(gd)[lower])


def _clip(x, low, high):
    x = jnp.where(x > low, x, jnp.asarray(low, x.dtype))
    return jnp.where(x < high, x, jnp.asarray(high, x.dtype))


def _positive(x):
    return jnp.where(x > 0, x, jnp.zeros((), x.dtype))


def _row_tents(lattice, window):
    """Weights of the grid's rows at each pixel row: `[h, gh]`, or `[n, h, gh]` for traced windows."""
    if window is None:
        positions = lattice.rows()
    else:
        positions = lattice.pixel_positions(0, window[:, 0, None], window[:, 2, None])
    return lattice_lib.tents(positions, lattice.grid_shape[0], lattice.boundary[0])


def _tap_tents(blocks, dtype):
    """Weights of the taps, one `[1 or n, 1, count, width]` per tap."""
    tents = jnp.asarray(blocks.tents, dtype)
    tents = tents.reshape(-1, 1, *tents.shape[-3:])
    return [tents[..., t] for t in range(blocks.taps)]


def _table(grid, row_tents, blocks, cells):
    """The grid as each row and block sees it: `[n, h, tap, plane, o, j, block]`."""
    n = "n" * (row_tents.ndim - 2)
    one_hot = jnp.asarray(blocks.cells, grid.dtype)
    table = jnp.einsum("nyxzoj,uz->nyxuoj", grid, cells.astype(grid.dtype), precision=_EXACT)
    table = jnp.einsum(f"nyxuoj,{n}btx->nytuojb", table, one_hot, precision=_EXACT)
    return jnp.einsum(f"nytuojb,{n}hy->nhtuojb", table, row_tents, precision=_EXACT)


def _cells_of_table(table, row_tents, blocks, cells):
    """The transpose of `_table`."""
    n = "n" * (row_tents.ndim - 2)
    one_hot = jnp.asarray(blocks.cells, table.dtype)
    grid = jnp.einsum(f"nhtuojb,{n}hy->nytuojb", table, row_tents, precision=_EXACT)
    grid = jnp.einsum(f"nytuojb,{n}btx->nyxuoj", grid, one_hot, precision=_EXACT)
    return jnp.einsum("nyxuoj,uz->nyxzoj", grid, cells.astype(table.dtype), precision=_EXACT)


def _channels(image, blocks):
    """The channels of `[n, h, w, c]`, each in blocks."""
    return [blocks.split(image[..., c]) for c in range(image.shape[-1])]


def _look_up_unrolled(table, planes, blocks, extended):
    """Applied coefficients `[n, h, count, width, o]` by sums over taps and depth planes, written out."""
    tents = _tap_tents(blocks, table.dtype)

    def coefficient(o, j):
        return _sum(
            tents[t] * _sum(plane * table[:, :, t, u, o, j, :, None] for u, plane in enumerate(planes))
            for t in range(blocks.taps)
        )

    def channel(o):
        return _sum(
            coefficient(o, j) if e is None else coefficient(o, j) * e
            for j, e in enumerate(extended)
        )

    return jnp.stack([channel(o) for o in range(table.shape[4])], axis=-1)


def _look_up_multiplied(table, planes, blocks, extended):
    """The same by a matrix product per row and block: for many taps, depth cells or features."""
    weights = jnp.stack([t * p for t in _tap_tents(blocks, table.dtype) for p in planes], axis=3)
    rows = table.reshape(*table.shape[:2], weights.shape[3], *table.shape[4:])
    coefficients = jnp.einsum("nhbkp,nhkojb->nhbpoj", weights, rows, precision=_EXACT)
    ones = jnp.ones(weights.shape[:3] + weights.shape[4:], table.dtype)
    vector = jnp.stack([ones if e is None else e for e in extended], axis=-1)
    return jnp.sum(coefficients * vector[..., None, :], axis=-1)


def _sum(terms):
    return functools.reduce(operator.add, terms)

"""What the pixels of blocks look up: tents of taps and of depth planes, times a table.

A pixel's coefficient is `sum over taps and depth planes of tap_tent * depth_tent * table`. A table
entry is one number for all pixels of a block's row. Where the terms are few they are written out,
for XLA to load each entry once and vectorise along the block; where they are many, a matrix product
per row and block sums them.

Measured rules of XLA:CPU that shape the loop (ns per pixel of a 12 MP photo):

-   A `stack` at its end is compiled as one vectorised loop per channel (8 ns). A reshape, cast or
    comparison fused behind it makes it scalar (60 ns): hence blocks to the very end, and
    `bands.isolated`.
-   `where(x < c, c, x)` is one instruction, `maximum` and `clip` spend four on NaN; this order of
    the operands lets NaN through.
-   What bounds it are loads of table entries, two a cycle: arithmetic on what is in registers is
    free beside them, a third tap is not.

The loop is written with `jax.lax`: there are thousands of operations, and with those of `jax.numpy`
a slice with its gradients took up to twice as long to trace and lower.

Receives rows of the table and blocks of pixels from `ops/xla/`.
Hands pixels back to it, and to its splats the weights.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jax import lax

# XLA:CPU fuses no stack of more channels; alone it copies number by number on one core.
_STACKED = 8
# Terms (taps * depth planes * features) written out in loops; beyond, compiling takes too long. In
# blocks of one vector half as many: a loop without repetitions has cost the compiler gigabytes.
_UNROLLED_TERMS = 1024
_VECTOR = 8
_EXACT = lax.Precision.HIGHEST


def unrolls(blocks, planes, outputs, columns, *, contracted):
    """Whether `unrolled` is the one to take, for matrices `[o, j]`; else `multiplied`."""
    if outputs > _STACKED and not contracted:
        return False
    terms = blocks.taps * planes * outputs * columns
    return terms <= _UNROLLED_TERMS / (2 if blocks.width <= _VECTOR else 1)


def plane_count(lattice, order):
    """How many depth planes there are: none where a single cell leaves no slope."""
    return len(plane_cells(lattice, order))


def plane_cells(lattice, order):
    """What each depth plane weighs, as a mix of depth cells: `[plane, gd]`."""
    gd, wrap = lattice.grid_shape[2], lattice.boundary[2] == "wrap"
    centres = np.eye(gd)[np.arange(gd + wrap) % gd]
    return centres if order == 0 else lattice.depth_scale * np.diff(centres, axis=0)


def depth_positions(guide, lattice, order):
    """Positions along gd: on a ring within its first turn, else clamped if tents are to come."""
    depth = lattice.depth(guide)
    gd = lattice.grid_shape[2]
    if lattice.boundary[2] == "wrap":
        return depth - gd * jnp.floor(depth / gd)
    if order == 1:
        return depth
    depth = _at_least(depth, 0)
    return jnp.where(depth > gd - 1, jnp.asarray(gd - 1, depth.dtype), depth)


def _depth_plane(depth, k, order):
    """The weights of plane `k`: a tent around centre k, or an indicator of the gap from k to k + 1.

    Between two centres the slope is the difference of the two cells; at a centre, the one to its
    right. NaN makes tents NaN and indicators 0.
    """
    if order == 1:
        return ((depth >= k) & (depth < k + 1)).astype(depth.dtype)
    return _at_least(1 - abs(depth - k), 0)


def _at_least(x, low):
    low = lax.full_like(x, low)
    return lax.select(lax.lt(x, low), low, x)


def tap_places(blocks, dtype):
    """Where the pixels are among the taps of their blocks: `[1 or n, 1, count, width]`."""
    places = jnp.asarray(blocks.places, dtype)
    return places.reshape(-1, 1, *places.shape[-2:])


def unrolled(rows, places, depth, image, values, *, blocks, order, dtype):
    """Pixels, or their contraction with `values`, with the sums over taps and planes written out.

    Args:
      rows: the table at each row, `[n, h, strip, plane, o, j]`.
      places: see `tap_places`.
      depth: `[n, h, count, width]`.
      image: `[n, h, count, width, i]` or None.
      values: `[n, h, count, width, o]` or None.
      blocks: the `ColumnBlocks`.
      order: 0, or 1 for the derivative in the guide.
      dtype: of the result.

    Returns:
      `[n, h, count, width, o]`, or without the last axis if there are `values`.
    """
    planes = [_depth_plane(depth, k, order) for k in range(rows.shape[3])]
    tables = [_entries(rows, blocks, t, depth.shape) for t in range(blocks.taps)]
    extended = _extended(image, rows.shape[5])

    def matrix_row(table, k, o):
        terms = [
            table(k, o, j) if e is None else lax.mul(table(k, o, j), e)
            for j, e in enumerate(extended)
        ]
        # The offset first: a sum that begins with it is multiply-adds alone.
        return _sum(reversed(terms))

    def channel(o):
        at_taps = [
            _sum(lax.mul(plane, matrix_row(table, k, o)) for k, plane in enumerate(planes))
            for table in tables
        ]
        return _between_taps(at_taps, places)

    channels = (channel(o) for o in range(rows.shape[4]))
    if values is None:
        return jnp.stack([plane.astype(dtype) for plane in channels], axis=-1)
    return _sum(values[..., o] * plane for o, plane in enumerate(channels)).astype(dtype)


def _entries(rows, blocks, t, shape):
    """The table's entries of tap `t` for pixels of this `shape`: a function of plane, o and j.

    Each is cut out by itself: of a cut for all of them XLA makes a copy.
    """
    n, height, cells = rows.shape[:3]
    if not blocks.per_cell:
        end = t + blocks.step * (blocks.count - 1) + 1

        def entry(k, o, j):
            first, last = (0, 0, t, k, o, j), (n, height, end, k + 1, o + 1, j + 1)
            cut = lax.slice(rows, first, last, (1, 1, blocks.step, 1, 1, 1))
            return _for_pixels(cut, shape)

        return entry
    # Row after row in one line, a cell beyond a row's end is one of the next row. What is in it
    # does not count, and further rows before the first and after the last keep it inside.
    start, entries = blocks.per_cell * (cells + t) - 1, (height - 2) * blocks.count
    lines = lax.reshape(rows, (n, height * cells, *rows.shape[3:]))

    def entry(k, o, j):
        line = lax.slice(lines, (0, 0, k, o, j), (n, height * cells, k + 1, o + 1, j + 1))
        line = lax.broadcast_in_dim(
            lax.reshape(line, (n, height * cells)), (n, height * cells, blocks.per_cell), (0, 1)
        )
        line = lax.reshape(line, (n, height * cells * blocks.per_cell))
        return _for_pixels(lax.slice(line, (0, start), (n, start + entries)), shape)

    return entry


def _for_pixels(entries, shape):
    """One entry per block, repeated for its pixels: `[n, h, count, width]`, which is `shape`."""
    return lax.broadcast_in_dim(lax.reshape(entries, shape[:3]), shape, (0, 1, 2))


def _between_taps(at_taps, places):
    """The sum of the taps' values, weighted by tents of the places, which add up to 1."""
    last = len(at_taps) - 1
    if last == 0:
        return at_taps[0]
    if last == 1:
        return (1 - places) * at_taps[0] + places * at_taps[1]

    def tent(t):
        if t == 0:
            return _at_least(1 - places, 0)
        return _at_least(places - (t - 1) if t == last else 1 - abs(places - t), 0)

    # As differences from the second tap, which is a cell of the grid for every block.
    others = (tent(t) * (value - at_taps[1]) for t, value in enumerate(at_taps) if t != 1)
    return _sum([at_taps[1], *others])


def multiplied(rows, places, depth, image, values, *, blocks, order, dtype):
    """The same by a matrix product per row and block: for many taps, depth cells or features."""
    factors = weights(depth, places, taps=blocks.taps, planes=rows.shape[3], order=order)
    table = jnp.stack([blocks.tap(rows, t, axis=2) for t in range(blocks.taps)], axis=3)
    table = table.reshape(*table.shape[:3], -1, *table.shape[5:])
    coefficients = jnp.einsum("nhbpk,nhbkoj->nhbpoj", factors, table, precision=_EXACT)
    terms = (
        coefficients[..., j] if e is None else coefficients[..., j] * e[..., None]
        for j, e in enumerate(_extended(image, rows.shape[5]))
    )
    applied = _sum(terms)
    return (applied if values is None else jnp.sum(values * applied, axis=-1)).astype(dtype)


def weights(depth, places, *, taps, planes, order):
    """`[n, h, count, width, tap * plane]`, the products of tap tents and depth planes."""
    t = jnp.arange(taps, dtype=depth.dtype).reshape(1, 1, 1, 1, taps, 1)
    k = jnp.arange(planes, dtype=depth.dtype).reshape(1, 1, 1, 1, 1, planes)
    tents = _at_least(1 - abs(places[..., None, None] - t), 0)
    products = tents * _depth_plane(depth[..., None, None], k, order)
    return products.reshape(*products.shape[:4], -1)


def _extended(image, length):
    """The image's channels, then None for the 1 of the offset (or for features alone)."""
    channels = 0 if image is None else image.shape[-1]
    return [image[..., i] for i in range(channels)] + [None] * (length - channels)


def _sum(terms):
    return functools.reduce(lax.add, terms)

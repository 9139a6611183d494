"""The inner loop of slicing: tents of taps and depth planes, times a table.

A pixel's coefficient is `sum over taps and depth planes of tap_tent * depth_tent * table`. A table
entry is one number for all pixels of a column tile's row. Where the terms are few they are written
out, for XLA to load each entry once and vectorise along the tile; where they are many, a matrix
product per row and tile sums them.

Measured rules of XLA:CPU that shape the loop (ns per pixel of a 12 MP photo):

-   A `stack` at its end is compiled as one vectorised loop per channel (8 ns). A reshape, cast or
    comparison fused behind it makes it scalar (60 ns): hence tiles to the very end, and
    `row_tiles.isolated`.
-   `lattice.select_larger` is one instruction, `maximum` and `clip` spend four on NaN.
-   What bounds it are loads of table entries, two a cycle: arithmetic on what is in registers is
    free beside them, a third tap is not.

The loop is written with `jax.lax`: there are thousands of operations, and with those of `jax.numpy`
a slice with its gradients took up to twice as long to trace and lower.
"""

import functools

import jax.numpy as jnp
from jax import lax

from bilateral_jax import lattice as lattice_lib

# XLA:CPU fuses no stack of more channels; alone it copies number by number on one core.
_STACKED = 8
# Terms (taps * depth planes * features) written out in loops; beyond, compiling takes too long. In
# tiles of one vector half as many: a loop without repetitions has cost the compiler gigabytes.
_UNROLLED_TERMS = 1024
_VECTOR = 8
_EXACT = lax.Precision.HIGHEST


def unrolls(tiles, planes, outputs, columns, *, contracted):
    """Whether `unrolled` is faster than `multiplied`, for matrices `[o, j]`."""
    if outputs > _STACKED and not contracted:
        return False
    terms = tiles.taps * planes * outputs * columns
    return terms <= _UNROLLED_TERMS / (2 if tiles.width <= _VECTOR else 1)


def tap_offsets(tiles, dtype):
    """Offsets of the pixels from the first tap of their tile: `[1 or n, 1, count, width]`."""
    offsets = jnp.asarray(tiles.offsets, dtype)
    return offsets.reshape(-1, 1, *offsets.shape[-2:])


def unrolled(rows, offsets, depth, image, values, *, tiles, order, dtype):
    """Pixels, or their contraction with `values`, with the sums over taps and planes written out.

    Args:
      rows: the table at each row, `[n, h, entry, plane, o, j]`.
      offsets: see `tap_offsets`.
      depth: `[n, h, count, width]`.
      image: `[n, h, count, width, i]` or None.
      values: `[n, h, count, width, o]` or None.
      tiles: the `ColumnTiles`.
      order: 0, or 1 for the derivative in the guide.
      dtype: of the result.

    Returns:
      `[n, h, count, width, o]`, or without the last axis if there are `values`.
    """
    planes = lattice_lib.all_plane_weights(depth, rows.shape[3], order)
    tents = lattice_lib.tap_tents(offsets, tiles.taps) if tiles.taps > 2 else None
    tables = [_entries(rows, tiles, t, depth.shape) for t in range(tiles.taps)]
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
        return _between_taps(at_taps, offsets, tents)

    channels = (channel(o) for o in range(rows.shape[4]))
    if values is None:
        return jnp.stack([plane.astype(dtype) for plane in channels], axis=-1)
    return _sum(values[..., o] * plane for o, plane in enumerate(channels)).astype(dtype)


def _entries(rows, tiles, t, shape):
    """The table's entries of tap `t` for pixels of this `shape`: a function of plane, o and j.

    Each is cut out by itself: of a cut for all of them XLA makes a copy.
    """
    n, height, cells = rows.shape[:3]
    if not tiles.per_cell:
        end = t + tiles.step * (tiles.count - 1) + 1

        def entry(k, o, j):
            first, last = (0, 0, t, k, o, j), (n, height, end, k + 1, o + 1, j + 1)
            cut = lax.slice(rows, first, last, (1, 1, tiles.step, 1, 1, 1))
            return _for_pixels(cut, shape)

        return entry
    # In the flattened rows a cell beyond a row's end is one of the next row. Its weight is 0, and
    # padding rows before the first and after the last keep the index inside.
    start, entries = tiles.per_cell * (cells + t) - 1, (height - 2) * tiles.count
    lines = lax.reshape(rows, (n, height * cells, *rows.shape[3:]))

    def entry(k, o, j):
        line = lax.slice(lines, (0, 0, k, o, j), (n, height * cells, k + 1, o + 1, j + 1))
        line = lax.broadcast_in_dim(
            lax.reshape(line, (n, height * cells)), (n, height * cells, tiles.per_cell), (0, 1)
        )
        line = lax.reshape(line, (n, height * cells * tiles.per_cell))
        return _for_pixels(lax.slice(line, (0, start), (n, start + entries)), shape)

    return entry


def _for_pixels(entries, shape):
    """One entry per tile, repeated for its pixels: `[n, h, count, width]`, which is `shape`."""
    return lax.broadcast_in_dim(lax.reshape(entries, shape[:3]), shape, (0, 1, 2))


def _between_taps(at_taps, offsets, tents):
    """The sum of the taps' values, weighted by tents of the offsets, which sum to 1."""
    if len(at_taps) == 1:
        return at_taps[0]
    if len(at_taps) == 2:
        return (1 - offsets) * at_taps[0] + offsets * at_taps[1]
    # As differences from the second tap, which is a cell of the grid for every tile.
    others = (tents[t] * (value - at_taps[1]) for t, value in enumerate(at_taps) if t != 1)
    return _sum([at_taps[1], *others])


def multiplied(rows, offsets, depth, image, values, *, tiles, order, dtype):
    """`unrolled` by a matrix product per row and tile: for many taps, depth cells or features."""
    factors = weights(depth, offsets, taps=tiles.taps, planes=rows.shape[3], order=order)
    table = jnp.stack([tiles.tap(rows, t, axis=2) for t in range(tiles.taps)], axis=3)
    table = table.reshape(*table.shape[:3], -1, *table.shape[5:])
    coefficients = jnp.einsum("nhbpk,nhbkoj->nhbpoj", factors, table, precision=_EXACT)
    terms = (
        coefficients[..., j] if e is None else coefficients[..., j] * e[..., None]
        for j, e in enumerate(_extended(image, rows.shape[5]))
    )
    applied = _sum(terms)
    return (applied if values is None else jnp.sum(values * applied, axis=-1)).astype(dtype)


def weights(depth, offsets, *, taps, planes, order):
    """`[n, h, count, width, tap * plane]`, the products of tap tents and depth planes."""
    t = jnp.arange(taps, dtype=depth.dtype).reshape(1, 1, 1, 1, taps, 1)
    k = jnp.arange(planes, dtype=depth.dtype).reshape(1, 1, 1, 1, 1, planes)
    tents = lattice_lib.tent(offsets[..., None, None], t)
    products = tents * lattice_lib.plane_weights(depth[..., None, None], k, order)
    return products.reshape(*products.shape[:4], -1)


def _extended(image, length):
    """The image's channels, then None for the 1 of the offset (or for features alone)."""
    channels = 0 if image is None else image.shape[-1]
    return [image[..., i] for i in range(channels)] + [None] * (length - channels)


def _sum(terms):
    return functools.reduce(lax.add, terms)

"""Splatting by dense arithmetic, the transpose of `slicing.py`: no scatter.

One matrix product per row and column tile contracts the pixels, small ones add rows and taps to
the cells. Tents are the weights, not ramps, whose differences the tents are: sums over many pixels
would cancel, and a cell that no pixel reaches would not stay exactly 0.

Measured: copies that pad a splat's pixels to a rounder width cost more than its products gain.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax.ops import reference
from bilateral_jax.ops.xla import column_tiles, row_tiles, slice_loop

# Bytes of a row tile's arrays on a CPU.
_TILE_BYTES = 8 << 20
# Measured from 256 x 256 to 12 MP, on both ends of the supported range of JAX.
_COSTS = column_tiles.Costs(lanes=8, overhead=64, padding=1.35, halves=1, own_entries=1)
_EXACT = jax.lax.Precision.HIGHEST


def splat_apply(values, guide, image=None, window=None, *, lattice, order, offset, dtype):
    """`reference.splat_apply`, argument for argument, as dense arithmetic."""
    accumulate = reference.accumulation_dtype(values, guide, image)
    batch, outputs = guide.shape[0], values.shape[-1]
    columns = (0 if image is None else image.shape[-1]) + int(offset)
    cells = lattice.plane_cells(order)
    if not len(cells):
        return jnp.zeros((batch, *lattice.grid_shape, outputs, columns), dtype)
    tiles = column_tiles.column_tiles(lattice, window, _COSTS)

    def row_tile(example, row_tents, guide, values, *image):
        arrays = (array.astype(accumulate) for array in (guide, values, *image))
        guide, values, *image = arrays
        depth = lattice.plane_positions(guide, order)
        # A pixel with a NaN guide belongs to no cell, whatever its values: even NaN.
        lost = jnp.isnan(depth)
        depth = jnp.where(lost, jnp.zeros((), accumulate), depth)
        values = jnp.where(lost[..., None], jnp.zeros((), accumulate), values)
        pixels = [tiles.pad(array) for array in (depth, values, *image)]
        compute = functools.partial(
            _factors, tiles=tiles.of(example), planes=len(cells), order=order, offset=offset
        )
        weights, matrices = row_tiles.isolated(compute, *pixels)
        rows = jnp.einsum("nhbpk,nhbcp->nhkcb", weights, matrices, precision=_EXACT)
        return jnp.einsum(
            "nhy,nhk->nyk", row_tents, rows.reshape(*rows.shape[:2], -1), precision=_EXACT
        )

    arrays = [guide, values] + ([] if image is None else [image])
    numbers = len(cells) * tiles.taps + outputs * columns + 2 * (1 + outputs + columns)
    row_tents = jnp.asarray(lattice.axis_tents(0, window), accumulate)
    row_tents = jnp.broadcast_to(row_tents, (batch, *row_tents.shape[1:]))
    rows = row_tiles.tile_rows(_TILE_BYTES, (1, *guide.shape[1:]), numbers)
    table = row_tiles.sum_tiles(row_tile, rows, row_tents, arrays)
    table = table.reshape(*table.shape[:2], tiles.taps, len(cells), outputs * columns, -1)
    grid = _table_transposed(table, tiles, cells)
    if not offset or image is None:
        return grid.reshape(*grid.shape[:4], outputs, columns).astype(dtype)
    linear, last = jnp.split(grid, [outputs * (columns - 1)], axis=-1)
    linear = linear.reshape(*grid.shape[:4], outputs, columns - 1)
    return jnp.concatenate([linear, last[..., None]], axis=-1).astype(dtype)


def _factors(depth, values, image=None, *, tiles, planes, order, offset):
    """Factors of a splat: `slice_loop.weights`; values `[n, h, count, o * i (+ o), width]`."""

    def planar(pixels):
        pixels = pixels.reshape(*pixels.shape[:2], tiles.count, tiles.width, -1)
        return jnp.moveaxis(pixels, -1, -2)

    matrices = values = planar(values)
    if image is not None:
        matrices = values[:, :, :, :, None] * planar(image)[:, :, :, None]
        matrices = matrices.reshape(*values.shape[:3], -1, tiles.width)
        if offset:
            matrices = jnp.concatenate([matrices, values], axis=3)
    depth, offsets = tiles.split(depth), slice_loop.tap_offsets(tiles, depth.dtype)
    weights = slice_loop.weights(depth, offsets, taps=tiles.taps, planes=planes, order=order)
    return weights, matrices


def _table_transposed(table, tiles, cells):
    """Table to grid: `[n, gh, tap, plane, feature, tile]` to `[n, gh, gw, gd, feature]`."""
    n = "n" * (tiles.entries.ndim - 2)
    entries = jnp.asarray(tiles.entries, table.dtype)
    one_hot = jnp.stack([tiles.tap(entries, t, axis=-2) for t in range(tiles.taps)])
    grid = jnp.einsum(f"nytucb,t{n}bx->nyxuc", table, one_hot, precision=_EXACT)
    if np.array_equal(cells, np.eye(len(cells))):
        return grid
    return jnp.einsum("nyxuc,uz->nyxzc", grid, cells.astype(table.dtype), precision=_EXACT)

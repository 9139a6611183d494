"""Slicing by dense arithmetic: a table per row and column tile, row tile after row tile."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from bilateral_jax.ops import reference
from bilateral_jax.ops.xla import column_tiles, row_tiles, slice_loop

# Bytes of a row tile's arrays on a CPU.
_TILE_BYTES = 4 << 20
# The table of all rows at once may take this, or a third of the result: then one loop over the
# image writes each pixel once, on all cores, where a loop over row tiles copies them on one. A
# third is enough for any number of images of 1536 columns or more (16 x 8 cells, equal tiles).
_TABLE_BYTES = 24 << 20
# Measured from 256 x 256 to 12 MP, on both ends of the supported range of JAX.
COSTS = column_tiles.Costs(lanes=8, overhead=24, padding=1.07, halves=1.15, own_entries=1.4)
_EXACT = jax.lax.Precision.HIGHEST


def slice_apply(grid, guide, image=None, window=None, *, lattice, order, dtype):
    """`reference.slice_apply`, argument for argument, as dense arithmetic."""
    if not lattice.plane_count(order):
        return jnp.zeros((*guide.shape, grid.shape[4]), dtype)
    return _slice(None, grid, guide, image, window, lattice, order, dtype)


def guide_vjp(values, grid, guide, image=None, window=None, *, lattice, dtype):
    """`reference.guide_vjp`, argument for argument, as dense arithmetic."""
    if not lattice.plane_count(1):
        return jnp.zeros(guide.shape, dtype)
    return _slice(values, grid, guide, image, window, lattice, 1, dtype)


def _slice(values, grid, guide, image, window, lattice, order, dtype):
    """`slice_apply`, or its contraction with `values` unless they are None."""
    optional = {"image": image, "values": values}
    others = {name: array for name, array in optional.items() if array is not None}
    accumulate = reference.accumulation_dtype(grid, guide, image, values)
    outputs, columns = grid.shape[-2:]
    tiles = column_tiles.column_tiles(lattice, window, COSTS)
    planes = lattice.plane_count(order)
    unrolls = slice_loop.unrolls(tiles, planes, outputs, columns, contracted=values is not None)
    if not unrolls:
        tiles = dataclasses.replace(tiles, per_cell=0)
    interpolate = slice_loop.unrolled if unrolls else slice_loop.multiplied
    table = _table(grid.astype(accumulate), tiles, lattice, order)
    offsets = slice_loop.tap_offsets(tiles, accumulate)

    def compute(rows, offsets, *pixels):
        guide, *rest = (tiles.split(array).astype(accumulate) for array in pixels)
        depth = lattice.plane_positions(guide, order)
        pixels = dict.fromkeys(optional) | dict(zip(others, rest, strict=True))
        return interpolate(rows, offsets, depth, **pixels, tiles=tiles, order=order, dtype=dtype)

    def row_tile(row_tents, *pixels):
        if tiles.per_cell:
            row_tents = jnp.pad(row_tents, ((0, 0), (1, 1), (0, 0)))
        rows = jnp.einsum("nhy,nysuoj->nhsuoj", row_tents, table, precision=_EXACT)
        return tiles.join(row_tiles.isolated(compute, rows, offsets, *map(tiles.pad, pixels)))

    row_tents = jnp.asarray(lattice.axis_tents(0, window), accumulate)
    row_tents = jnp.broadcast_to(row_tents, (guide.shape[0], *row_tents.shape[1:]))
    arrays = [row_tents, guide, *others.values()]
    rows, entries = 0, math.prod(table.shape[2:])
    if unrolls and tiles.exact:
        rows = _table_rows(guide.shape, entries, outputs, contracted=values is not None)
    if not rows:
        numbers = 2 * (1 + columns + outputs) + entries / guide.shape[2]
        if not unrolls:
            numbers += tiles.taps * planes + outputs * columns
        rows = row_tiles.tile_rows(_TILE_BYTES, guide.shape, numbers)
    return row_tiles.map_tiles(row_tile, rows, arrays, table.ravel()[0])


def _table_rows(shape, entries, outputs, *, contracted):
    """All rows where a table with so many `entries` for each of them is affordable, else 0."""
    batch, height, width = shape
    table, pixels = (4 * batch * height * numbers for numbers in (entries, width * outputs))
    affordable = max(_TABLE_BYTES, pixels / 3)
    if contracted:
        # The guide's cotangent has two slices beside it, with tables of their own. Where those are
        # larger than the images XLA cannot lay one into another's buffer, and together they pass
        # the 32 MB up to which memory is used again. Its tiles are cheap to copy: a number a pixel.
        affordable = min(affordable, max(_TABLE_BYTES / 3, pixels))
    return height if table <= affordable else 0


def _table(grid, tiles, lattice, order):
    """The grid's depth planes at the table entries: `[n, gh, entry, plane, o, j]`."""
    if lattice.boundary[2] == "wrap":
        grid = jnp.concatenate([grid, grid[:, :, :, :1]], axis=3)
    if order == 1:
        grid = lattice.depth_scale * jnp.diff(grid, axis=3)
    if tiles.per_cell:
        return grid
    n = "n" * (tiles.entries.ndim - 2)
    entries = jnp.asarray(tiles.entries, grid.dtype)
    return jnp.einsum(f"nyxuoj,{n}sx->nysuoj", grid, entries, precision=_EXACT)

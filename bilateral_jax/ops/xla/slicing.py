"""Slicing and splatting as dense arithmetic: fast on a CPU, correct on every device.

A gather of eight corners costs XLA a materialised array per corner, once something is applied to
what was gathered. Here nothing is gathered and nothing scattered:

1.  The columns are cut into equal blocks, narrow enough that one block meets only a few
    neighbouring cells, its taps (ops/xla/column_tiles.py). The tiny grid becomes a table by tap and
    block.
2.  Rows go in bands (ops/xla/row_tiles.py). A small matrix product interpolates the table along gh
    for each row of a band.
3.  A pixel's coefficient is `sum over taps and depth planes of tap_tent * depth_tent * table`,
    written out as arithmetic on whole planes (ops/xla/slice_loop.py). The cost does not depend on
    what the guide holds.

Splatting is the transpose: one matrix product per row and block contracts the pixels, small ones
put rows and taps back into cells. Both use tents: with ramps, whose differences are the tents, sums
over many pixels would cancel, and a cell that no pixel reaches would not stay exactly 0.

Measured: copies that pad a splat's pixels to a rounder width cost more than its products gain.

Receives normalised arrays (see ops/reference.py, whose functions these are) from
`ops/primitives.py`.
Hands pixels or grids back to it.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax import lattice as lattice_lib
from bilateral_jax.ops import reference
from bilateral_jax.ops.xla import column_tiles as blocks_lib
from bilateral_jax.ops.xla import row_tiles, slice_loop

# Bytes of a band's arrays, for slices and for splats. A CPU keeps that much in its caches; others
# have memory that is fast without a cache, and want few large steps (not measured).
_SLICE_BYTES = {"cpu": 4 << 20}
_SPLAT_BYTES = {"cpu": 8 << 20}
_BYTES_ELSEWHERE = 256 << 20
# The table of all rows at once may take this, or a third of the result: then one loop over the
# picture writes each pixel once, on all cores, where a loop over bands copies them on one. A third
# is enough for any number of pictures of 1536 columns or more (16 x 8 cells, equal blocks).
_TABLE_BYTES = 24 << 20
# Measured from 256 x 256 to 12 MP, on both ends of the supported range of JAX.
_SLICE_COSTS = blocks_lib.Costs(lanes=8, overhead=24, padding=1.07, halves=1.15, own_entries=1.4)
_SPLAT_COSTS = blocks_lib.Costs(lanes=8, overhead=64, padding=1.35, halves=1, own_entries=1)
_EXACT = jax.lax.Precision.HIGHEST


def slice_apply(grid, guide, image=None, window=None, *, lattice, order, dtype):
    """`reference.slice_apply`, argument for argument, as dense arithmetic."""
    if not slice_loop.plane_count(lattice, order):
        return jnp.zeros((*guide.shape, grid.shape[4]), dtype)
    return _looked_up(None, grid, guide, image, window, lattice, order, dtype)


def guide_vjp(values, grid, guide, image=None, window=None, *, lattice, dtype):
    """`reference.guide_vjp`, argument for argument, as dense arithmetic."""
    if not slice_loop.plane_count(lattice, 1):
        return jnp.zeros(guide.shape, dtype)
    return _looked_up(values, grid, guide, image, window, lattice, 1, dtype)


def _looked_up(values, grid, guide, image, window, lattice, order, dtype):
    """`slice_apply`, or its contraction with `values` unless they are None, block by block."""
    optional = {"image": image, "values": values}
    others = {name: array for name, array in optional.items() if array is not None}
    accumulate = reference.accumulation_dtype(grid, guide, image, values)
    outputs, columns = grid.shape[-2:]
    blocks = blocks_lib.column_blocks(lattice, window, _SLICE_COSTS)
    planes = slice_loop.plane_count(lattice, order)
    unrolls = slice_loop.unrolls(blocks, planes, outputs, columns, contracted=values is not None)
    if not unrolls:
        blocks = dataclasses.replace(blocks, per_cell=0)
    look_up = slice_loop.unrolled if unrolls else slice_loop.multiplied
    table = _table(grid.astype(accumulate), blocks, lattice, order)
    places = slice_loop.tap_places(blocks, accumulate)

    def compute(rows, places, *pixels):
        guide, *rest = (blocks.split(array).astype(accumulate) for array in pixels)
        depth = slice_loop.depth_positions(guide, lattice, order)
        pixels = dict.fromkeys(optional) | dict(zip(others, rest, strict=True))
        return look_up(rows, places, depth, **pixels, blocks=blocks, order=order, dtype=dtype)

    def band(row_tents, *pixels):
        if blocks.per_cell:
            row_tents = jnp.pad(row_tents, ((0, 0), (1, 1), (0, 0)))
        rows = jnp.einsum("nhy,nysuoj->nhsuoj", row_tents, table, precision=_EXACT)
        return blocks.join(row_tiles.isolated(compute, rows, places, *map(blocks.pad, pixels)))

    row_tents = _row_tents(lattice, window, guide.shape[0], accumulate)
    arrays = [row_tents, guide, *others.values()]
    rows, entries = 0, math.prod(table.shape[2:])
    if unrolls and blocks.exact:
        rows = _table_rows(guide.shape, entries, outputs, contracted=values is not None)
    if not rows:
        numbers = 2 * (1 + columns + outputs) + entries / guide.shape[2]
        if not unrolls:
            numbers += blocks.taps * planes + outputs * columns
        rows = _band_rows(_SLICE_BYTES, guide.shape, numbers)
    return row_tiles.joined(band, rows, arrays, table.ravel()[0])


def splat_apply(values, guide, image=None, window=None, *, lattice, order, offset, dtype):
    """`reference.splat_apply`, argument for argument, as dense arithmetic."""
    accumulate = reference.accumulation_dtype(values, guide, image)
    batch, outputs = guide.shape[0], values.shape[-1]
    columns = (0 if image is None else image.shape[-1]) + int(offset)
    cells = slice_loop.plane_cells(lattice, order)
    if not len(cells):
        return jnp.zeros((batch, *lattice.grid_shape, outputs, columns), dtype)
    blocks = blocks_lib.column_blocks(lattice, window, _SPLAT_COSTS)

    def band(example, row_tents, guide, values, *image):
        arrays = (array.astype(accumulate) for array in (guide, values, *image))
        guide, values, *image = arrays
        depth = slice_loop.depth_positions(guide, lattice, order)
        # A pixel that is nowhere takes its values with it, even NaN.
        lost = jnp.isnan(depth)
        depth = jnp.where(lost, jnp.zeros((), accumulate), depth)
        values = jnp.where(lost[..., None], jnp.zeros((), accumulate), values)
        pixels = [blocks.pad(array) for array in (depth, values, *image)]
        compute = functools.partial(
            _factors, blocks=blocks.of(example), planes=len(cells), order=order, offset=offset
        )
        weights, matrices = row_tiles.isolated(compute, *pixels)
        rows = jnp.einsum("nhbpk,nhbcp->nhkcb", weights, matrices, precision=_EXACT)
        return jnp.einsum(
            "nhy,nhk->nyk", row_tents, rows.reshape(*rows.shape[:2], -1), precision=_EXACT
        )

    arrays = [guide, values] + ([] if image is None else [image])
    numbers = len(cells) * blocks.taps + outputs * columns + 2 * (1 + outputs + columns)
    row_tents = _row_tents(lattice, window, batch, accumulate)
    rows = _band_rows(_SPLAT_BYTES, (1, *guide.shape[1:]), numbers)
    table = row_tiles.summed(band, rows, row_tents, arrays)
    table = table.reshape(*table.shape[:2], blocks.taps, len(cells), outputs * columns, -1)
    grid = _table_transposed(table, blocks, cells)
    if not offset or image is None:
        return grid.reshape(*grid.shape[:4], outputs, columns).astype(dtype)
    linear, last = jnp.split(grid, [outputs * (columns - 1)], axis=-1)
    linear = linear.reshape(*grid.shape[:4], outputs, columns - 1)
    return jnp.concatenate([linear, last[..., None]], axis=-1).astype(dtype)


def _table_rows(shape, entries, outputs, *, contracted):
    """All rows where a table with so many `entries` for each of them is affordable, else 0."""
    batch, height, width = shape
    table, pixels = (4 * batch * height * numbers for numbers in (entries, width * outputs))
    affordable = max(_TABLE_BYTES, pixels / 3)
    if contracted:
        # The guide's cotangent has two slices beside it, with tables of their own. Where those are
        # larger than the pictures XLA cannot lay one into another's buffer, and together they pass
        # the 32 MB up to which memory is used again. Its bands are cheap to copy: a number a pixel.
        affordable = min(affordable, max(_TABLE_BYTES / 3, pixels))
    return height if table <= affordable else 0


def _band_rows(band_bytes, shape, numbers):
    """Rows of a band, for pixels `[n, h, w]` that need so many float32 `numbers` each at a time."""
    band_bytes = band_bytes.get(jax.default_backend(), _BYTES_ELSEWHERE)
    return max(1, int(band_bytes / (4 * numbers * shape[0] * shape[2])))


def _row_tents(lattice, window, batch, dtype):
    """Weights `[n, h, gh]` of the grid's rows at each pixel row."""
    if window is None:
        positions = lattice.rows()[None]
    else:
        positions = lattice.pixel_positions(0, window[:, 0, None], window[:, 2, None])
    tents = lattice_lib.tents(positions, lattice.grid_shape[0], lattice.boundary[0])
    return jnp.broadcast_to(jnp.asarray(tents, dtype), (batch, *tents.shape[1:]))


def _table(grid, blocks, lattice, order):
    """The grid's depth planes at the entries of the strip: `[n, gh, strip, plane, o, j]`."""
    if lattice.boundary[2] == "wrap":
        grid = jnp.concatenate([grid, grid[:, :, :, :1]], axis=3)
    if order == 1:
        grid = lattice.depth_scale * jnp.diff(grid, axis=3)
    if blocks.per_cell:
        return grid
    n = "n" * (blocks.strip.ndim - 2)
    strip = jnp.asarray(blocks.strip, grid.dtype)
    return jnp.einsum(f"nyxuoj,{n}sx->nysuoj", grid, strip, precision=_EXACT)


def _table_transposed(table, blocks, cells):
    """Its transpose, from `[n, gh, tap, plane, feature, block]` to `[n, gh, gw, gd, feature]`."""
    n = "n" * (blocks.strip.ndim - 2)
    strip = jnp.asarray(blocks.strip, table.dtype)
    one_hot = jnp.stack([blocks.tap(strip, t, axis=-2) for t in range(blocks.taps)])
    grid = jnp.einsum(f"nytucb,t{n}bx->nyxuc", table, one_hot, precision=_EXACT)
    if np.array_equal(cells, np.eye(len(cells))):
        return grid
    return jnp.einsum("nyxuc,uz->nyxzc", grid, cells.astype(table.dtype), precision=_EXACT)


def _factors(depth, values, image=None, *, blocks, planes, order, offset):
    """Factors of a splat: `lookups.weights`; values `[n, h, count, o * i (+ o), width]`."""

    def planar(pixels):
        pixels = pixels.reshape(*pixels.shape[:2], blocks.count, blocks.width, -1)
        return jnp.moveaxis(pixels, -1, -2)

    matrices = values = planar(values)
    if image is not None:
        matrices = values[:, :, :, :, None] * planar(image)[:, :, :, None]
        matrices = matrices.reshape(*values.shape[:3], -1, blocks.width)
        if offset:
            matrices = jnp.concatenate([matrices, values], axis=3)
    depth, places = blocks.split(depth), slice_loop.tap_places(blocks, depth.dtype)
    weights = slice_loop.weights(depth, places, taps=blocks.taps, planes=planes, order=order)
    return weights, matrices

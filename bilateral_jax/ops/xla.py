"""Slicing and splatting as dense arithmetic: fast on a CPU, correct on every device.

A gather of eight corners costs XLA a materialised array per corner, once something is applied to
what was gathered. Here nothing is gathered (but for five features or more that are not applied, on
a CPU) and nothing scattered:

1.  The columns are cut into equal blocks, narrow enough that one block meets only a few
    neighbouring cells, its taps (ops/blocks.py). The tiny grid becomes a table by tap and block.
2.  Rows go in bands (ops/bands.py). A small matrix product interpolates the table along gh for
    each row of a band.
3.  A pixel's coefficient is `sum over taps and depth planes of tap_tent * depth_tent * table`,
    written out as arithmetic on whole planes. A table entry is one number for all pixels of a
    block's row, so that the compiler loads it once and vectorises along the block; the cost does
    not depend on what the guide holds.

Splatting is the transpose: one matrix product per row and block contracts the pixels, small ones
put rows and taps back into cells. Both use tents: with ramps, whose differences are the tents, sums
over many pixels would cancel, and a cell that no pixel reaches would not stay exactly 0.

Measured rules of XLA:CPU that shape the code (ns per pixel of a 12 MP photo):

-   A `stack` at the end of a fused loop is compiled as one vectorised loop per channel (8 ns). A
    reshape, cast or comparison fused behind it makes it scalar (60 ns): hence blocks to the very
    end, and `bands.isolated`.
-   `where(x < c, c, x)` is one instruction, `maximum` and `clip` spend four on NaN; this order of
    the operands lets NaN through.
-   What bounds the loop are loads of table entries, two a cycle: arithmetic on what is in registers
    is free beside them, a third tap is not.
-   Copies that pad a splat's pixels to a rounder width cost more than its matrix products gain.

Receives normalised arrays (see ops/reference.py, whose functions these are) from
`ops/primitives.py`.
Hands pixels or grids back to it.
"""

import dataclasses
import functools
import math
import operator

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax import lattice as lattice_lib
from bilateral_jax.ops import bands, reference
from bilateral_jax.ops import blocks as blocks_lib

# Bytes of a band's arrays, for slices and for splats. A CPU keeps that much in its caches; others
# have memory that is fast without a cache, and want few large steps (not measured).
_SLICE_BYTES = {"cpu": 4 << 20}
_SPLAT_BYTES = {"cpu": 8 << 20}
_BYTES_ELSEWHERE = 256 << 20
# The table of all rows at once may take this, or a quarter of the result: then one loop over the
# picture writes each pixel once, on all cores, where a loop over bands copies them on one.
_TABLE_BYTES = 24 << 20
# XLA:CPU fuses no stack of more; alone it copies number by number on one core.
_STACKED = 8
# Of more features than these eight corners are gathered (20 ns for 12 of them, against 60): what is
# gathered lies side by side, nothing is applied to it, so that XLA:CPU keeps it in one loop.
_FEATURES = 4
# Terms (taps * depth planes * features) written out in loops; beyond, compiling takes too long. In
# blocks of one vector half as many: a loop without repetitions has cost the compiler gigabytes.
_UNROLLED_TERMS = 1024
# Measured from 256 x 256 to 12 MP, on both ends of the supported range of JAX.
_SLICE_COSTS = blocks_lib.Costs(lanes=8, overhead=24, padding=1.07, halves=1.15, own_entries=1.4)
_SPLAT_COSTS = blocks_lib.Costs(lanes=8, overhead=64, padding=1.35, halves=1, own_entries=1)
_EXACT = jax.lax.Precision.HIGHEST


def slice_apply(grid, guide, image=None, window=None, *, lattice, order, dtype):
    """`reference.slice_apply`, argument for argument, as dense arithmetic."""

    def stacked(planes):
        if not isinstance(planes, list):
            return planes.astype(dtype)
        return jnp.stack([plane.astype(dtype) for plane in planes], axis=-1)

    if not _planes(lattice, order):
        return jnp.zeros((*guide.shape, grid.shape[4]), dtype)
    if grid.shape[4] > _FEATURES and image is None and jax.default_backend() == "cpu":
        options = {"lattice": lattice, "order": order, "dtype": dtype}
        return reference.slice_apply(grid, guide, window=window, **options)
    return _looked_up(stacked, grid, guide, image, window, (), lattice, order)


def guide_vjp(values, grid, guide, image=None, window=None, *, lattice, dtype):
    """`reference.guide_vjp`, argument for argument, as dense arithmetic."""

    def contracted(planes, values):
        if not isinstance(planes, list):
            return (values * planes).sum(axis=-1).astype(dtype)
        terms = (values[..., o] * plane for o, plane in enumerate(planes))
        return _sum(terms).astype(dtype)

    if not _planes(lattice, 1):
        return jnp.zeros(guide.shape, dtype)
    return _looked_up(contracted, grid, guide, image, window, (values,), lattice, 1)


def _looked_up(combine, grid, guide, image, window, others, lattice, order):
    """`combine(planes, *others)`, the planes being the channels of `slice_apply`, block by block.

    `others` are further pixels `[n, h, w, c]`; they come to `combine` cut into blocks.
    """
    accumulate = reference.accumulation_dtype(grid, guide, image, *others)
    outputs, columns = grid.shape[-2:]
    blocks = blocks_lib.column_blocks(lattice, window, _SLICE_COSTS)
    terms = blocks.taps * _planes(lattice, order) * outputs * columns
    unrolled = terms <= _UNROLLED_TERMS / (2 if blocks.width <= _SLICE_COSTS.lanes else 1)
    if outputs > _STACKED and not others:
        unrolled = False
    look_up = _look_up_unrolled
    if not unrolled:
        look_up, blocks = _look_up_multiplied, dataclasses.replace(blocks, per_cell=0)
    table = _table(grid.astype(accumulate), blocks, lattice, order)
    images = [] if image is None else [image]
    places = _places(blocks, accumulate)

    def compute(rows, places, guide, *pixels):
        pixels = [blocks.split(array).astype(accumulate) for array in pixels]
        depth = _depth(blocks.split(guide).astype(accumulate), lattice, order)
        image = pixels[0] if images else None
        planes = look_up(rows, places, depth, image, blocks=blocks, order=order)
        return combine(planes, *pixels[len(images) :])

    def band(row_tents, *pixels):
        if blocks.per_cell:
            row_tents = jnp.pad(row_tents, ((0, 0), (1, 1), (0, 0)))
        rows = jnp.einsum("nhy,nysuoj->nhsuoj", row_tents, table, precision=_EXACT)
        return blocks.join(bands.isolated(compute, rows, places, *map(blocks.pad, pixels)))

    row_tents = _row_tents(lattice, window, guide.shape[0], accumulate)
    arrays = [row_tents, guide, *images, *others]
    rows, entries = 0, math.prod(table.shape[2:])
    if unrolled and blocks.exact:
        rows = _table_rows(guide.shape, entries, outputs)
    if not rows:
        numbers = 2 * (1 + columns + outputs) + entries / guide.shape[2]
        if not unrolled:
            numbers += blocks.taps * table.shape[3] + outputs * columns
        rows = _band_rows(_SLICE_BYTES, guide.shape, numbers)
    return bands.joined(band, rows, arrays, table.ravel()[0])


def splat_apply(values, guide, image=None, window=None, *, lattice, order, offset, dtype):
    """`reference.splat_apply`, argument for argument, as dense arithmetic."""
    accumulate = reference.accumulation_dtype(values, guide, image)
    batch, outputs = guide.shape[0], values.shape[-1]
    columns = (0 if image is None else image.shape[-1]) + int(offset)
    cells = _plane_cells(lattice, order)
    if not len(cells):
        return jnp.zeros((batch, *lattice.grid_shape, outputs, columns), dtype)
    blocks = blocks_lib.column_blocks(lattice, window, _SPLAT_COSTS)

    def band(example, row_tents, guide, values, *image):
        arrays = (array.astype(accumulate) for array in (guide, values, *image))
        guide, values, *image = arrays
        depth = _depth(guide, lattice, order)
        # A pixel that is nowhere takes its values with it, even NaN.
        lost = jnp.isnan(depth)
        depth = jnp.where(lost, jnp.zeros((), accumulate), depth)
        values = jnp.where(lost[..., None], jnp.zeros((), accumulate), values)
        pixels = [blocks.pad(array) for array in (depth, values, *image)]
        compute = functools.partial(
            _factors, blocks=blocks.of(example), planes=len(cells), order=order, offset=offset
        )
        weights, matrices = bands.isolated(compute, *pixels)
        rows = jnp.einsum("nhbpk,nhbcp->nhkcb", weights, matrices, precision=_EXACT)
        return jnp.einsum(
            "nhy,nhk->nyk", row_tents, rows.reshape(*rows.shape[:2], -1), precision=_EXACT
        )

    arrays = [guide, values] + ([] if image is None else [image])
    numbers = len(cells) * blocks.taps + outputs * columns + 2 * (1 + outputs + columns)
    row_tents = _row_tents(lattice, window, batch, accumulate)
    rows = _band_rows(_SPLAT_BYTES, (1, *guide.shape[1:]), numbers)
    table = bands.summed(band, rows, row_tents, arrays)
    table = table.reshape(*table.shape[:2], blocks.taps, len(cells), outputs * columns, -1)
    grid = _table_transposed(table, blocks, cells)
    if not offset or image is None:
        return grid.reshape(*grid.shape[:4], outputs, columns).astype(dtype)
    linear, last = jnp.split(grid, [outputs * (columns - 1)], axis=-1)
    linear = linear.reshape(*grid.shape[:4], outputs, columns - 1)
    return jnp.concatenate([linear, last[..., None]], axis=-1).astype(dtype)


def _table_rows(shape, entries, outputs):
    """All rows where a table with so many `entries` for each of them is affordable, else 0."""
    batch, height, width = shape
    affordable = max(_TABLE_BYTES, batch * height * width * outputs)
    return height if 4 * batch * height * entries <= affordable else 0


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


def _planes(lattice, order):
    """How many depth planes there are: none where a single cell leaves no slope."""
    return len(_plane_cells(lattice, order))


def _plane_cells(lattice, order):
    """What each of `_depth_planes` weighs, as a mix of depth cells: `[plane, gd]`."""
    gd, wrap = lattice.grid_shape[2], lattice.boundary[2] == "wrap"
    centres = np.eye(gd)[np.arange(gd + wrap) % gd]
    return centres if order == 0 else lattice.depth_scale * np.diff(centres, axis=0)


def _depth(guide, lattice, order):
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
    return jnp.where(x < low, jnp.asarray(low, x.dtype), x)


def _look_up_unrolled(rows, places, depth, image, *, blocks, order):
    """Channels `[n, h, count, width]` of the result, sums over taps and planes written out."""
    planes = [_depth_plane(depth, k, order) for k in range(rows.shape[3])]
    tables = [_entries(rows, blocks, t) for t in range(blocks.taps)]
    extended = _extended(image, rows.shape[5])

    def matrix_row(table, k, o):
        terms = [
            table(k, o, j) if e is None else table(k, o, j) * e for j, e in enumerate(extended)
        ]
        # The offset first: a sum that begins with it is multiply-adds alone.
        return _sum(reversed(terms))

    def channel(o):
        at_taps = [
            _sum(plane * matrix_row(table, k, o) for k, plane in enumerate(planes))
            for table in tables
        ]
        return _between_taps(at_taps, places)

    return [channel(o) for o in range(rows.shape[4])]


def _entries(rows, blocks, t):
    """The table's entries of tap `t`: a function of plane, output and column, `[n, h, count, 1]`.

    Each is cut out by itself: of a cut for all of them XLA makes a copy.
    """
    if not blocks.per_cell:
        return lambda k, o, j: blocks.tap(rows[..., k, o, j], t, axis=2)[..., None]
    # Row after row in one line, a cell beyond a row's end is one of the next row. What is in it
    # does not count, and further rows before the first and after the last keep it inside.
    n, height, cells = rows.shape[:3]
    start, entries = blocks.per_cell * (cells + t) - 1, (height - 2) * blocks.count

    def entry(k, o, j):
        line = rows[..., k, o, j].reshape(n, height * cells, 1)
        line = jnp.broadcast_to(line, (*line.shape[:2], blocks.per_cell)).reshape(n, -1)
        return line[:, start : start + entries].reshape(n, height - 2, blocks.count, 1)

    return entry


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


def _look_up_multiplied(rows, places, depth, image, *, blocks, order):
    """The same by a matrix product per row and block: for many taps, depth cells or features."""
    weights = _weights(depth, places, taps=blocks.taps, planes=rows.shape[3], order=order)
    table = jnp.stack([blocks.tap(rows, t, axis=2) for t in range(blocks.taps)], axis=3)
    table = table.reshape(*table.shape[:3], -1, *table.shape[5:])
    coefficients = jnp.einsum("nhbpk,nhbkoj->nhbpoj", weights, table, precision=_EXACT)
    terms = (
        coefficients[..., j] if e is None else coefficients[..., j] * e[..., None]
        for j, e in enumerate(_extended(image, rows.shape[5]))
    )
    return _sum(terms)


def _weights(depth, places, *, taps, planes, order):
    """`[n, h, count, width, tap * plane]`, the products of tap tents and depth planes."""
    t = jnp.arange(taps, dtype=depth.dtype).reshape(1, 1, 1, 1, taps, 1)
    k = jnp.arange(planes, dtype=depth.dtype).reshape(1, 1, 1, 1, 1, planes)
    tents = _at_least(1 - abs(places[..., None, None] - t), 0)
    weights = tents * _depth_plane(depth[..., None, None], k, order)
    return weights.reshape(*weights.shape[:4], -1)


def _factors(depth, values, image=None, *, blocks, planes, order, offset):
    """The two factors of a splat: `_weights`, and `[n, h, count, o * i (+ o), width]` of values."""

    def planar(pixels):
        pixels = pixels.reshape(*pixels.shape[:2], blocks.count, blocks.width, -1)
        return jnp.moveaxis(pixels, -1, -2)

    matrices = values = planar(values)
    if image is not None:
        matrices = values[:, :, :, :, None] * planar(image)[:, :, :, None]
        matrices = matrices.reshape(*values.shape[:3], -1, blocks.width)
        if offset:
            matrices = jnp.concatenate([matrices, values], axis=3)
    depth, places = blocks.split(depth), _places(blocks, depth.dtype)
    weights = _weights(depth, places, taps=blocks.taps, planes=planes, order=order)
    return weights, matrices


def _places(blocks, dtype):
    """Where the pixels are among the taps of their blocks: `[1 or n, 1, count, width]`."""
    places = jnp.asarray(blocks.places, dtype)
    return places.reshape(-1, 1, *places.shape[-2:])


def _extended(image, length):
    """The image's channels, then None for the 1 of the offset (or for features alone)."""
    channels = 0 if image is None else image.shape[-1]
    return [image[..., i] for i in range(channels)] + [None] * (length - channels)


def _sum(terms):
    return functools.reduce(operator.add, terms)

"""Splat on a GPU, the transpose of `slicing.py`: running sums per pixel column, no atomics.

A program walks down a tile of pixels between two neighbouring rows of cell centres. Each of its
threads keeps, for its own pixel column, the sums for the two rows of cells: one per depth plane and
matrix entry, all in registers. At the end the columns are weighted along gw and added up, and XLA
adds the tiles. The order of every sum is fixed when the program is compiled: the same input gives
the same bits.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp

from bilateral_jax import lattice as lattice_lib
from bilateral_jax.kernels import pallas
from bilateral_jax.kernels.gpu import tiling, tuning

_EXACT = jax.lax.Precision.HIGHEST


@dataclasses.dataclass(frozen=True)
class _Division:
    """How the sums of a tile are divided among programs.

    Attributes:
      outputs: all `o`.
      columns: all `j`.
      planes: all depth planes.
      some_outputs: outputs of one program.
      some_planes: depth planes of one program, a power of two.
      row_pairs: pairs of cell rows that a row tile may meet.
      taps: cell columns that a column tile may meet.
    """

    outputs: int
    columns: int
    planes: int
    some_outputs: int
    some_planes: int
    row_pairs: int
    taps: int

    @property
    def counts(self):
        """Number of parts: of outputs, of planes, of rows."""
        outputs = -(-self.outputs // self.some_outputs)
        planes = -(-self.planes // self.some_planes)
        return outputs, planes, self.row_pairs

    @property
    def sums(self):
        """Shape of the sums that a program writes: `[tap, o, j, row, plane]`."""
        return (self.taps, self.some_outputs, self.columns, 2, self.some_planes)


def splat_apply(values, guide, image=None, window=None, *, lattice, order, offset, dtype):
    """`ops/reference.py`'s `splat_apply`, argument for argument."""
    batch, outputs = guide.shape[0], values.shape[-1]
    channels = 0 if image is None else image.shape[-1]
    cells = lattice.plane_cells(order)
    if not len(cells) or not guide.size:
        shape = (batch, *lattice.grid_shape, outputs, channels + int(offset))
        return jnp.zeros(shape, dtype)
    sizes = tuning.tile_sizes()
    rows = tiling.cut(lattice, window, 0, sizes.splat_rows)
    columns = tiling.cut(lattice, window, 1, sizes.splat_columns)
    met = [tiling.cells_met(lattice, window, *tiles) for tiles in ((0, rows), (1, columns))]
    division = _divide(outputs, channels + int(offset), len(cells), met, sizes.splat_sums)
    kernel = functools.partial(_splat_kernel, columns.length, division, channels, lattice, order)
    partial = pallas.core.pallas_call(
        kernel,
        out_shape=jax.ShapeDtypeStruct(
            (batch, rows.count, columns.count, *division.counts, *division.sums), jnp.float32
        ),
        grid=(columns.count, rows.count, batch * math.prod(division.counts)),
        compiler_params=pallas.triton.CompilerParams(
            num_warps=max(columns.length // 32, 1), num_stages=1
        ),
        name=f"bilateral_splat_apply_gpu_order{order}",
    )(
        jnp.asarray(rows.starts),
        jnp.asarray(columns.starts),
        *[first for first, _ in met],
        *[lattice.affine_positions(axis, window) for axis in (0, 1)],
        values,
        guide,
        *([] if image is None else [image]),
    )
    return _grid_from_sums(partial, division, met, lattice, cells).astype(dtype)


def _divide(outputs, columns, planes, met, sums):
    """Parts small enough for `sums` running sums per thread, two rows of cells at a time."""
    rows, taps = (count for _, count in met)
    some_planes = 1 << (planes - 1).bit_length()
    some_outputs = max(1, min(outputs, sums // (2 * columns * min(some_planes, 8))))
    while some_planes > 1 and 2 * some_outputs * columns * some_planes > sums:
        some_planes //= 2
    return _Division(outputs, columns, planes, some_outputs, some_planes, -(-rows // 2), taps)


def _grid_from_sums(partial, division, met, lattice, cells):
    """Adds the programs' sums: `[n, gh, gw, gd, o, j]`."""
    (first_row, _), (first_column, _) = met
    # [n, row tile, column tile, outputs, planes, row pairs; tap, o, j, row, plane]
    partial = partial.transpose(0, 1, 5, 9, 2, 6, 4, 10, 3, 7, 8)
    shape = (
        *partial.shape[:2],
        2 * division.row_pairs,
        partial.shape[4],
        division.taps,
        partial.shape[6] * division.some_planes,
        partial.shape[8] * division.some_outputs,
        division.columns,
    )
    partial = partial.reshape(shape)[:, :, :, :, :, : division.planes, : division.outputs]
    rows = _one_hot(first_row, shape[2], lattice.grid_shape[0])
    columns = _one_hot(first_column, division.taps, lattice.grid_shape[1])
    batch = partial.shape[0]
    rows, columns = (jnp.broadcast_to(hot, (batch, *hot.shape[1:])) for hot in (rows, columns))
    grid = jnp.einsum("nbtcsuoj,ncsx->nbtxuoj", partial, columns, precision=_EXACT)
    grid = jnp.einsum("nbtxuoj,nbty->nyxuoj", grid, rows, precision=_EXACT)
    return jnp.einsum("nyxuoj,uz->nyxzoj", grid, cells, precision=_EXACT)


def _one_hot(first, taps, cells):
    """One-hot cell of each tap of each tile: `[1 or n, tile, tap, cell]`."""
    cell = first[..., None] + jnp.arange(taps)[None, None]
    cell = cell % cells  # a tap beyond the border has weight 0 unless the axis is a ring
    return (cell[..., None] == jnp.arange(cells)[None, None, None]).astype(jnp.float32)


def _splat_kernel(length, division, channels, lattice, order, *refs):
    """One tile of pixels: loops down its rows, then adds its columns up."""
    row_starts, column_starts, first_rows, first_columns, rows, columns, *pixels, out = refs
    column_tile, row_tile, example = (pallas.core.program_id(axis) for axis in range(3))
    example, index_of = _unravelled(example, division.counts)
    start, stop = column_starts[column_tile], column_starts[column_tile + 1]
    index = start + jnp.arange(length, dtype=jnp.int32)
    column = jnp.minimum(index, stop - 1)
    row_stop = row_starts[row_tile + 1]
    first_row = _own(first_rows, example, row_tile) + 2 * index_of[2]
    read = functools.partial(_read, pixels, index_of[0] * division.some_outputs, division, channels)

    def step(row, carry):
        ready, sums = carry
        # Loads the next row while this one is added.
        following = read(example, jnp.minimum(row + 1, row_stop - 1), column)
        position = _position(rows, example, row, lattice, 0)
        pair = [_tent(position, first_row + t) for t in range(2)]
        first_plane = index_of[1] * division.some_planes
        return following, _add_row(
            ready, index < stop, pair, first_plane, division, lattice, order, sums
        )

    zeros = jnp.zeros((division.some_planes, length), jnp.float32)
    sums = (zeros,) * (2 * division.some_outputs * division.columns)
    ready = read(example, row_starts[row_tile], column)
    _, sums = jax.lax.fori_loop(row_starts[row_tile], row_stop, step, (ready, sums))

    position = _position(columns, example, column, lattice, 1)
    first_column = _own(first_columns, example, column_tile)
    plane = jnp.arange(division.some_planes, dtype=jnp.int32)

    def write(tap, _):
        tent = _tent(position, first_column + tap)[None, :]
        for number, sum_ in enumerate(sums):
            o, rest = divmod(number, 2 * division.columns)
            at = out.at[example, row_tile, column_tile, *index_of, tap, o, *divmod(rest, 2), plane]
            pallas.triton.store(at, jnp.sum(sum_ * tent, axis=1))

    jax.lax.fori_loop(0, division.taps, write, None)


def _unravelled(index, counts):
    """Example and part of a program from its number."""
    outputs, planes, rows = counts
    index, row = jax.lax.div(index, rows), jax.lax.rem(index, rows)
    index, plane = jax.lax.div(index, planes), jax.lax.rem(index, planes)
    return jax.lax.div(index, outputs), (jax.lax.rem(index, outputs), plane, row)


def _own(firsts, example, tile):
    return firsts[0 if firsts.shape[0] == 1 else example, tile]


def _position(affine, example, pixel, lattice, axis):
    example = 0 if affine.shape[0] == 1 else example
    position = pixel.astype(jnp.float32) * affine[example, 0] + affine[example, 1]
    if lattice.boundary[axis] == "wrap":
        return position
    return jnp.clip(position, 0.0, lattice.grid_shape[axis] - 1.0)


def _tent(position, cell):
    return lattice_lib.tent(position, cell.astype(jnp.float32), larger=jnp.maximum)


def _read(pixels, first_output, division, channels, example, row, column):
    """Guide, values and channels of a row of pixels."""
    values, guide, *image = pixels
    at = (example, row, column)
    # A part may reach beyond the last output; what it sums there is dropped.
    outputs = [
        jnp.minimum(first_output + o, division.outputs - 1) for o in range(division.some_outputs)
    ]
    return (
        _load(guide, at),
        tuple(_load(values, (*at, o)) for o in outputs),
        tuple(_load(image[0], (*at, c)) for c in range(channels)),
    )


def _load(ref, at):
    return pallas.triton.load(ref.at[at]).astype(jnp.float32)


def _add_row(pixels, inside, pair, first_plane, division, lattice, order, sums):
    """Adds one row of pixels to the sums, to both rows of cells."""
    guide, values, channels = pixels
    # A pixel with a NaN guide belongs to no cell, whatever its values: even NaN.
    inside = inside & (guide == guide)
    depth = lattice.plane_positions(jnp.where(inside, guide, 0.0), order)
    plane = first_plane + jnp.arange(division.some_planes, dtype=jnp.int32)
    weights = lattice_lib.plane_weights(
        depth[None, :], plane.astype(jnp.float32)[:, None], order, larger=jnp.maximum
    )
    added = []
    for o in range(division.some_outputs):
        parts = [jnp.where(inside, values[o], 0.0) * tent for tent in pair]
        for j in range(division.columns):
            for part in parts:
                if j < len(channels):
                    part = part * channels[j]
                added.append(pallas.multiply_add(weights, part[None, :], sums[len(added)]))
    return tuple(added)

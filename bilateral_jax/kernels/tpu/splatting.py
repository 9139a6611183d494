"""Splatting on a TPU, the transpose of `slicing.py` step by step.

A column tile of the image is processed row tile by row tile from top to bottom:

1.  128 columns at a time, values times image (a plane for each entry of the matrices) and the depth
    weights are written to vector memory.
2.  A row tile meets two cells along gh, seldom more. For each, and for each depth plane, the
    product of row tent and depth weight multiplies every entry; eight rows at a time add up in
    registers, and their sum is added to a row of the table `[gh * plane, columns]`.
3.  At the bottom `column tents @ table^T` contracts the tile's columns on the matrix unit. Each
    column tile writes its own grid; XLA adds the few of them.

Row tiles run in order and column tiles are added in order, so that the sums are the same every
time. At the end every column meets every cell: what must not count (past the image's end, a NaN
guide) is replaced by 0 first.
"""

import functools

import jax
import jax.numpy as jnp

from bilateral_jax import lattice as lattice_lib
from bilateral_jax.kernels import pallas
from bilateral_jax.kernels.tpu import slicing, tiling

NAME = "bilateral_splat_apply_tpu"


def splat_planar(values, guide, image, window, *, lattice, order, offset, planes, tile):
    """Splats values into a grid, channels before pixels.

    Args:
      values: `[n, o, h, w]`.
      guide: `[n, h, w]`.
      image: `[n, i, h, w]` or None.
      window: int32 `[n, 4]` or None.
      lattice: the `Lattice` of these pixels.
      order: 0 or 1.
      offset: whether the image is followed by a 1.
      planes: number of depth planes.
      tile: the `tiling.Tile`.

    Returns:
      float32 `[n, column tile, o, j, gw, gh * plane]`; its sum over column tiles is the grid.
    """
    (batch, outputs), (gh, gw, _) = values.shape[:2], lattice.grid_shape
    columns = (0 if image is None else image.shape[1]) + int(offset)
    registers = tiling.padded(planes, tiling.SUBLANES)
    per_example = 0 if window is None else 1
    row_tiles, column_tiles = tile.count(lattice.size)
    positions, met = tiling.row_positions(lattice, window, tile.rows, tile.rows)
    spec, pixels = pallas.core.BlockSpec, (tile.rows, tile.columns)
    operands = [met, positions, tiling.column_tents(lattice, window, tile.columns), values, guide]
    specs = [
        spec(memory_space=pallas.tpu.SMEM),
        spec((None, tile.rows, 1), lambda n, o, x, y: (n * per_example, y, 0)),
        spec((None, gw, tile.columns), lambda n, o, x, y: (n * per_example, 0, x)),
        spec((None, tile.outputs, *pixels), lambda n, o, x, y: (n, o, y, x)),
        spec((None, *pixels), lambda n, o, x, y: (n, y, x)),
    ]
    if image is not None:
        operands.append(image)
        specs.append(spec((None, image.shape[1], *pixels), lambda n, o, x, y: (n, 0, y, x)))
    entries = (tile.outputs, columns)
    vector_memory = functools.partial(pallas.tpu.VMEM, dtype=jnp.float32)
    return pallas.core.pallas_call(
        functools.partial(_kernel, lattice=lattice, order=order, per_example=per_example),
        out_shape=jax.ShapeDtypeStruct(
            (batch, column_tiles, outputs, columns, gw, gh * registers), jnp.float32
        ),
        grid=(batch, outputs // tile.outputs, column_tiles, row_tiles),
        in_specs=specs,
        out_specs=spec(
            (None, None, *entries, gw, gh * registers), lambda n, o, x, y: (n, x, o, 0, 0, 0)
        ),
        scratch_shapes=[
            vector_memory((*entries, gh, registers, tile.columns)),
            vector_memory((*entries, tile.rows, tiling.LANES)),
            vector_memory((planes, tile.rows, tiling.LANES)),
            vector_memory((tile.rows, tiling.LANES)),
        ],
        # Row tiles of a column tile share the scratch: they run one after the other.
        compiler_params=pallas.tpu.CompilerParams(
            dimension_semantics=("parallel", "parallel", "parallel", "arbitrary")
        ),
        name=NAME,
    )(*operands)


def _kernel(met, positions, column_tents, values, guide, *refs, lattice, order, per_example):
    image, out, table, products, weights, row_tents = refs if len(refs) == 6 else (None, *refs)
    x, y = pallas.core.program_id(2), pallas.core.program_id(3)
    row_tiles = pallas.core.num_programs(3)
    corner = y * guide.shape[0], x * guide.shape[1]

    @pallas.core.when(y == 0)
    def clear_table():
        table[...] = jnp.zeros(table.shape, table.dtype)

    at = 2 * (pallas.core.program_id(0) * per_example * row_tiles + y)

    def lane_chunk(c):
        lanes = pallas.core.ds(
            pallas.core.multiple_of(c * tiling.LANES, tiling.LANES), tiling.LANES
        )
        counts = _weigh(guide, weights, lanes, corner, lattice, order)
        _multiply(values, image, products, lanes, counts)

        def cell(cell):
            row_tents[...] = jnp.broadcast_to(
                lattice_lib.tent(positions[...], cell, larger=jnp.maximum), row_tents.shape
            )
            gh = lattice.grid_shape[0]
            row = slicing.on_ring(cell, gh) if lattice.boundary[0] == "wrap" else cell
            _add_row(table, products, weights, row_tents, row, lanes)

        jax.lax.fori_loop(met[at], met[at + 1], lambda k, carry: (cell(k), carry)[1], None)

    slicing.repeat(guide.shape[1] // tiling.LANES, lane_chunk)

    @pallas.core.when(y == row_tiles - 1)
    def contract_columns():
        def entry(o, j):
            out[o, j] = jax.lax.dot_general(
                column_tents[...],
                table[o, j].reshape(-1, table.shape[-1]),
                (((1,), (1,)), ((), ())),
                precision=slicing.EXACT,
                preferred_element_type=jnp.float32,
            )

        outputs, columns = table.shape[:2]
        slicing.repeat(outputs, lambda o: slicing.repeat(columns, lambda j: entry(o, j)))


def _weigh(guide, weights, lanes, corner, lattice, order):
    """Writes the depth weights of a chunk; returns which of its pixels count."""
    depth = lattice.plane_positions(guide[:, lanes].astype(jnp.float32), order)
    # Tiles beyond the image's end hold arbitrary values.
    row = jax.lax.broadcasted_iota(jnp.int32, depth.shape, 0) + corner[0]
    column = jax.lax.broadcasted_iota(jnp.int32, depth.shape, 1) + corner[1] + lanes.start
    inside = (row < lattice.size[0]) & (column < lattice.size[1])
    counts = inside & (depth == depth)
    depth = jnp.where(counts, depth, 0)

    def plane(k):
        weights[k] = lattice_lib.plane_weights(depth, k, order, larger=jnp.maximum)

    slicing.repeat(weights.shape[0], plane)
    return counts


def _multiply(values, image, products, lanes, counts):
    """Writes values times image, a plane for each entry of the matrices."""

    def counting(plane):
        return jnp.where(counts, plane.astype(jnp.float32), 0)

    def output(o):
        value = counting(values[o, :, lanes])

        def channel(j):
            products[o, j] = value * counting(image[j, :, lanes])

        if image is not None:
            slicing.repeat(image.shape[0], channel)
        if image is None or products.shape[1] > image.shape[0]:
            products[o, products.shape[1] - 1] = value

    slicing.repeat(products.shape[0], output)


def _add_row(table, products, weights, row_tents, row, lanes):
    """Adds a chunk's pixels to one row of the table, in every depth plane."""
    sublanes = tiling.SUBLANES

    def plane(k):
        sums = 0
        for group in range(products.shape[2] // sublanes):
            at = pallas.core.ds(group * sublanes, sublanes)
            weight = row_tents[at, :] * weights[k, at, :]
            sums += weight[None, None] * products[:, :, at, :]
        # Plane k is one sublane of a register: the others add 0.
        sublane = jax.lax.rem(k, sublanes)
        own = jax.lax.broadcasted_iota(jnp.int32, sums.shape, 2) == sublane
        at = pallas.core.ds(pallas.core.multiple_of(k - sublane, sublanes), sublanes)
        table[:, :, row, at, lanes] += jnp.where(own, jnp.sum(sums, axis=2, keepdims=True), 0)

    slicing.repeat(weights.shape[0], plane)

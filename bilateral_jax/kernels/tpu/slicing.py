"""Slicing on a TPU: the matrix unit interpolates along gw, the vector unit along gh and gd.

A column tile of the image is processed row tile by row tile from top to bottom:

1.  At its top, `grid @ column tents` interpolates every entry of the matrices (`[gh * plane, gw]`)
    to the tile's columns. This table `[gh * plane, columns]` stays in vector memory to the bottom.
2.  A chunk of rows meets two cells along gh, seldom three. For each, and for each depth plane, the
    product of row tent and depth weight multiplies that row of the table, broadcast to the chunk.
3.  The sums are the pixels' matrices; they are applied to the image at once.

Nothing is gathered, and pixels do not mix: what lies past the image's end, or is NaN, stays where
it is.

Interpolating along gh on the matrix unit, too, is the obvious design and was built first: it keeps
a 128 x 128 array busy with 16 rows of weights, in the six passes that float32 takes, and its
compiled schedule is eight times as long (docs/kernels.md).
"""

import functools

import jax
import jax.numpy as jnp

from bilateral_jax import lattice as lattice_lib
from bilateral_jax.kernels import pallas
from bilateral_jax.kernels.tpu import tiling

NAME = "bilateral_slice_apply_tpu"
# Three bfloat16 pieces of each float32 factor: without it the matrix unit rounds to one.
EXACT = jax.lax.Precision.HIGHEST


def slice_planar(
    grid,
    guide,
    image,
    window,
    *,
    lattice,
    order,
    planes,
    dtype,
    tile,
    learned=None,
    values=None,
    name=NAME,
):
    """Slices a grid and applies it, channels before pixels.

    Args:
      grid: float32 `[n, o, j, gh * plane, gw]`.
      guide: `[n, h, w]`, or the parameters `[p]` of `learned`.
      image: `[n, i, h, w]` or None.
      window: int32 `[n, 4]` or None.
      lattice: the `Lattice` of these pixels.
      order: 0 or 1.
      planes: number of depth planes; the grid has more, to full registers.
      dtype: of the result.
      tile: the `tiling.Tile`.
      learned: function of parameters and colour planes that gives the guide; or None.
      values: `[n, o, h, w]`, which the result is contracted with; or None.
      name: of the kernel in the program.

    Returns:
      `[n, o, h, w]`; contracted, `[n, o / tile.outputs, h, w]`, partial sums.
    """
    (batch, outputs, columns, cells), gh = grid.shape[:4], lattice.grid_shape[0]
    row_tiles, column_tiles = tile.count(lattice.size)
    results = outputs if values is None else outputs // tile.outputs
    spec, pixels = pallas.core.BlockSpec, (tile.rows, tile.columns)
    operands = _operands(grid, guide, image, window, lattice, tile, learned, values)
    table = (tile.outputs, columns, gh, cells // gh, tile.columns)
    return pallas.core.pallas_call(
        functools.partial(
            _kernel,
            names=(*operands, "out", "table"),
            lattice=lattice,
            order=order,
            planes=planes,
            windows=window is not None,
            learned=learned,
        ),
        out_shape=jax.ShapeDtypeStruct((batch, results, *lattice.size), dtype),
        grid=(batch, outputs // tile.outputs, column_tiles, row_tiles),
        in_specs=[operand_spec for _, operand_spec in operands.values()],
        out_specs=spec(
            (None, tile.outputs if values is None else 1, *pixels), lambda n, o, x, y: (n, o, y, x)
        ),
        scratch_shapes=[pallas.tpu.VMEM(table, jnp.float32)],
        # Row tiles of a column tile share the scratch: they run one after the other.
        compiler_params=pallas.tpu.CompilerParams(
            dimension_semantics=("parallel", "parallel", "parallel", "arbitrary")
        ),
        name=name,
    )(*(array for array, _ in operands.values()))


def _operands(grid, guide, image, window, lattice, tile, learned, values):
    """The kernel's operands: `{name: (array, its BlockSpec)}`."""
    columns, cells, gw = grid.shape[2:]
    per_example = 0 if window is None else 1
    positions, met = tiling.row_positions(lattice, window, tile.rows, tiling.CHUNK_ROWS)
    column_tents = tiling.column_tents(lattice, window, tile.columns)
    spec, pixels = pallas.core.BlockSpec, (tile.rows, tile.columns)
    scalars = spec(memory_space=pallas.tpu.SMEM)
    guides = spec((None, *pixels), lambda n, o, x, y: (n, y, x))
    operands = {
        "met": (met, scalars),
        "positions": (
            positions,
            spec((None, tile.rows, 1), lambda n, o, x, y: (n * per_example, y, 0)),
        ),
        "column_tents": (
            column_tents,
            spec((None, gw, tile.columns), lambda n, o, x, y: (n * per_example, 0, x)),
        ),
        "grid": (
            grid,
            spec((None, tile.outputs, columns, cells, gw), lambda n, o, x, y: (n, o, 0, 0, 0)),
        ),
        "guide": (guide, guides if learned is None else scalars),
    }
    if image is not None:
        block = (None, image.shape[1], *pixels)
        operands["image"] = image, spec(block, lambda n, o, x, y: (n, 0, y, x))
    if values is not None:
        block = (None, tile.outputs, *pixels)
        operands["values"] = values, spec(block, lambda n, o, x, y: (n, o, y, x))
    return operands


def _kernel(*refs, names, lattice, order, planes, windows, learned):
    refs = dict(zip(names, refs, strict=True))
    met, table, guide, image = (refs.get(name) for name in ("met", "table", "guide", "image"))
    _, tile_rows, tile_columns = refs["out"].shape
    y, chunks = pallas.core.program_id(3), tile_rows // tiling.CHUNK_ROWS
    first_chunk = y * chunks
    first_chunk += pallas.core.program_id(0) * windows * pallas.core.num_programs(3) * chunks

    @pallas.core.when(y == 0)
    def interpolate_columns():
        def entry(o, j):
            columns = exact_dot(refs["grid"][o, j], refs["column_tents"][...])
            table[o, j] = columns.reshape(table.shape[2:])

        repeat(table.shape[0], lambda o: repeat(table.shape[1], lambda j: entry(o, j)))

    def chunk(row_chunk, lane_chunk):
        rows = pallas.core.ds(
            pallas.core.multiple_of(row_chunk * tiling.CHUNK_ROWS, tiling.CHUNK_ROWS),
            tiling.CHUNK_ROWS,
        )
        lanes = pallas.core.ds(
            pallas.core.multiple_of(lane_chunk * tiling.LANES, tiling.LANES), tiling.LANES
        )
        colours = None if image is None else image[:, rows, lanes].astype(jnp.float32)
        if learned is None:
            guides = guide[rows, lanes].astype(jnp.float32)
        else:
            guides = learned(guide, colours)
        at = 2 * (first_chunk + row_chunk)
        cells, positions = (met[at], met[at + 1]), refs["positions"][rows, :]
        matrices = _matrices(table, guides, positions, cells, lanes, planes, lattice, order)
        _write(matrices, colours, refs.get("values"), refs["out"], rows, lanes)

    repeat(chunks, lambda r: repeat(tile_columns // tiling.LANES, lambda c: chunk(r, c)))


def _matrices(table, guide, positions, cells, lanes, planes, lattice, order):
    """The sliced matrices `[o, j, rows, lanes]` of a chunk of pixels."""
    depth = lattice.plane_positions(guide, order)
    register = tiling.SUBLANES

    def add_cell(cell, sums):
        row_tent = lattice_lib.tent(positions, cell, larger=jnp.maximum)
        row = on_ring(cell, table.shape[2]) if lattice.boundary[0] == "wrap" else cell

        def add_register(index, sums, planes=register):
            first = pallas.core.multiple_of(index * register, register)
            entries = table[:, :, row, pallas.core.ds(first, register), lanes]
            for k in range(planes):
                weight = row_tent * lattice_lib.plane_weights(
                    depth, first + k, order, larger=jnp.maximum
                )
                sums += weight[None, None] * entries[:, :, k : k + 1]
            return sums

        whole, rest = divmod(planes, register)
        sums = jax.lax.fori_loop(0, whole, add_register, sums)
        return add_register(whole, sums, rest) if rest else sums

    zeros = jnp.zeros((*table.shape[:2], *depth.shape), jnp.float32)
    return jax.lax.fori_loop(*cells, add_cell, zeros)


def _write(matrices, colours, values, out, rows, lanes):
    """Writes matrices times colours, or that times values, summed over outputs."""
    channels = 0 if colours is None else colours.shape[0]
    contracted = 0
    for o in range(matrices.shape[0]):
        # The column after the image's channels is the offset.
        total = matrices[o, channels] if matrices.shape[1] > channels else 0
        for j in range(channels):
            total += matrices[o, j] * colours[j]
        if values is None:
            out[o, rows, lanes] = total.astype(out.dtype)
        else:
            contracted += total * values[o, rows, lanes].astype(jnp.float32)
    if values is not None:
        out[0, rows, lanes] = contracted.astype(out.dtype)


def on_ring(cell, cells):
    """Index of a cell modulo the number of cells; `cell` is at least -1."""
    # `%` rounds down by the sign, which jax 0.10.2 cannot lower unless it is told the chip.
    return jax.lax.rem(cell + cells, cells)


def repeat(count, body):
    """Calls `body(0)`, `body(1)`, ...; a loop in the program, whose length does not grow."""
    jax.lax.fori_loop(0, count, lambda index, carry: (body(index), carry)[1], None)


def exact_dot(a, b):
    """`a @ b`, as exact as float32 factors allow, summed in float32."""
    return jnp.dot(a, b, precision=EXACT, preferred_element_type=jnp.float32)

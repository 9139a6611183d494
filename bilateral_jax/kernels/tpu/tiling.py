"""Tiles of an image: sizes that fit a TPU's vector memory, and their tents and positions.

Compiled, not measured: candidates and budget were chosen in November 2026 by what libtpu 0.0.50
compiles for v4, v5e, v5p and v6e, and by the length of its schedules (docs/kernels.md has the
table). No TPU has run them.
"""

import dataclasses

import jax.numpy as jnp

# XLA grants a kernel 16 MiB of vector memory unless asked; what the compiler spills needs room too.
BUDGET_BYTES = 14 << 20
# A vector register holds 8 sublanes of 128 lanes of float32; 16 sublanes of bfloat16.
LANES, SUBLANES = 128, 8
# Pixel rows that slicing computes at a time: with 128 lanes, two registers per plane.
CHUNK_ROWS = 16
# Rows and columns of a tile, best first: wide tiles do the work along gw less often.
_CANDIDATES = ((64, 512), (64, 256), (64, 128), (32, 128), (16, 128))
# Entries of a matrix whose sums stay in registers, two or one each.
_ENTRIES = 16


@dataclasses.dataclass(frozen=True)
class Tile:
    """One step of a kernel: `rows` by `columns` pixels, `outputs` of the matrices' rows."""

    rows: int
    columns: int
    outputs: int

    def count(self, size: tuple[int, int]) -> tuple[int, int]:
        """Tiles that cover `(h, w)` pixels."""
        return -(-size[0] // self.rows), -(-size[1] // self.columns)


def choose(lattice, *, outputs: int, columns: int, planes: int, channels: int) -> Tile | None:
    """The first candidate that fits the budget, no larger than the image needs; or None.

    Args:
      lattice: the `Lattice`.
      outputs: rows of the matrices.
      columns: their columns.
      planes: depth planes (`Lattice.plane_count`).
      channels: of the image; 0 without one.

    Returns:
      A `Tile` whose `outputs` divide the rows of the matrices.
    """
    height, width = lattice.size
    divisors = [some for some in range(outputs, 0, -1) if outputs % some == 0]
    for rows, tile_columns in _CANDIDATES:
        rows = min(rows, padded(height, CHUNK_ROWS))
        tile_columns = min(tile_columns, padded(width, LANES))
        for some in divisors:
            if some > 1 and some * columns > _ENTRIES:
                continue
            tile = Tile(rows, tile_columns, some)
            if vector_memory(lattice, tile, columns, planes, channels) <= BUDGET_BYTES:
                return tile
    return None


def vector_memory(lattice, tile: Tile, columns: int, planes: int, channels: int) -> int:
    """Bytes of vector memory of either kernel: each operand's tile twice, scratch, temporaries.

    The last axis of every array is padded to 128 lanes, the one before to 8 sublanes.
    """
    gh, gw, _ = lattice.grid_shape
    entries = tile.outputs * columns
    cells = gh * padded(planes, SUBLANES)
    grid = entries * max(cells * padded(gw, LANES), padded(gw, SUBLANES) * padded(cells, LANES))
    tents = padded(gw, SUBLANES) * tile.columns + tile.rows * LANES
    # Values come in or pixels go out; contracting a slope does both.
    planar = (1 + channels + 2 * tile.outputs) * tile.rows * tile.columns
    table = entries * cells * tile.columns
    chunk = (entries + planes + 1) * tile.rows * LANES
    return 4 * (2 * (grid + tents + planar) + table + chunk)


def padded(count: int, multiple: int) -> int:
    """`count` rounded up to a multiple."""
    return -(-count // multiple) * multiple


def column_tents(lattice, window, tile: int):
    """Weights of the grid's columns at each pixel column: `[1 or n, gw, tiles * tile]`.

    Columns past the image's end weigh 0.
    """
    tents = lattice.axis_tents(1, window)
    padding = ((0, 0), (0, -lattice.size[1] % tile), (0, 0))
    return jnp.swapaxes(jnp.pad(jnp.asarray(tents, jnp.float32), padding), 1, 2)


def row_positions(lattice, window, tile: int, chunk: int):
    """Positions of the pixel rows along gh, and the cells that each chunk of them meets.

    Args:
      lattice: the `Lattice`.
      window: int32 `[n, 4]` or None.
      tile: rows of a tile, a multiple of `chunk`.
      chunk: rows of a chunk.

    Returns:
      `(positions, met)`: float32 `[1 or n, tiles * tile, 1]`, and int32 `[(1 or n) * chunks * 2]`,
      the first cell of each chunk and the one after its last. Tents of any other cell are 0 there.
      On a ring cells go on past both ends: -1 is the last one, `gh` the first again.
    """
    cells, boundary = lattice.grid_shape[0], lattice.boundary[0]
    positions = jnp.asarray(lattice.axis_positions(0, window), jnp.float32)
    if boundary == "clamp":
        positions = jnp.clip(positions, 0, cells - 1)
    padding = ((0, 0), (0, -lattice.size[0] % tile))
    positions = jnp.pad(positions, padding, mode="edge")
    ends = positions.reshape(len(positions), -1, chunk)[..., :: chunk - 1]
    first, last = jnp.floor(ends[..., 0]), jnp.floor(ends[..., 1]) + 1
    if boundary == "clamp":
        last = jnp.minimum(last, cells - 1)
    met = jnp.stack([first, last + 1], axis=-1).astype(jnp.int32)
    return positions[..., None], met.reshape(-1)

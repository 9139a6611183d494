"""Tents of rows and columns, as inputs of the kernels; windows are nothing but other tents.

Receives a `Lattice` and windows from `slicing.py` and `splatting.py`.
Hands weights and positions back to them, padded to whole tiles.
"""

import jax.numpy as jnp

from bilateral_jax import lattice as lattice_lib


def columns(lattice, window, tile: int):
    """Weights `[1 or n, gw, tiles * tile]` of the grid's columns at each pixel column.

    Columns past the picture's end weigh 0.
    """
    cells, boundary = lattice.grid_shape[1], lattice.boundary[1]
    tents = lattice_lib.tents(_positions(lattice, window, 1), cells, boundary)
    padding = ((0, 0), (0, -lattice.size[1] % tile), (0, 0))
    return jnp.swapaxes(jnp.pad(jnp.asarray(tents, jnp.float32), padding), 1, 2)


def rows(lattice, window, tile: int, chunk: int):
    """Where pixel rows lie along gh, and which cells a chunk of them meets.

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
    positions = jnp.asarray(_positions(lattice, window, 0), jnp.float32)
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


def _positions(lattice, window, axis):
    if window is None:
        return (lattice.rows() if axis == 0 else lattice.columns())[None]
    return lattice.pixel_positions(axis, window[:, axis, None], window[:, axis + 2, None])

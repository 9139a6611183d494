"""Pixel columns in blocks: which few cells each block meets, and the tent weights of its pixels.

Inside one block the cells are the same for every pixel, so that only the weights vary from pixel to
pixel. They are known when the program is built, or when the window is; never an index per pixel.

Receives a `Lattice` from `ops/xla.py`.
Hands blocks of pixels and one-hot tables of cells back to it.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

# No block is wider: a row of it should stay in the innermost cache.
_WIDEST = 1024
# What a width that does not divide the columns costs (copies with padding), measured at 12 MP.
_PADDING_COST = 1.07


@dataclasses.dataclass(frozen=True)
class ColumnBlocks:
    """The columns of a picture cut into equal blocks; arrays lead with `n` only for traced windows.

    Attributes:
      columns: pixels of a row.
      count: blocks of a row.
      width: pixels of a block; the last block is padded.
      taps: neighbouring cells that a block may meet.
      tents: `[(n,) count, width, taps]`, weights of the taps at each pixel.
      cells: `[(n,) count, taps, gw]`, one-hot: the cell of each tap.
    """

    columns: int
    count: int
    width: int
    taps: int
    tents: np.ndarray | jax.Array
    cells: np.ndarray | jax.Array

    def pad(self, pixels):
        """`[n, h, columns, ...]` -> `[n, h, count * width, ...]`, with zeros."""
        padding = self.count * self.width - self.columns
        return jnp.pad(pixels, ((0, 0), (0, 0), (0, padding)) + ((0, 0),) * (pixels.ndim - 3))

    def split(self, plane):
        """`[n, h, count * width]` -> `[n, h, count, width]`."""
        return plane.reshape(*plane.shape[:-1], self.count, self.width)

    def join(self, pixels):
        """`[n, h, count, width, o]` -> `[n, h, columns, o]`, without the padding."""
        joined = pixels.reshape(*pixels.shape[:2], self.count * self.width, pixels.shape[-1])
        return joined[:, :, : self.columns]


def column_blocks(lattice, window, *, lanes, overhead):
    """Cuts the columns of a lattice into blocks.

    Args:
      lattice: the `Lattice`.
      window: int32 `[n, 4]` of a traced window, or None.
      lanes: the width of a block is a multiple of this; loops of other lengths are slower.
      overhead: work per row and block, in pixels; the wider the blocks, the less often it is done.

    Returns:
      `ColumnBlocks`, traced where the window is.
    """
    cells = lattice.grid_shape[1]
    if window is None:
        positions = lattice.columns()
    else:
        positions = lattice.pixel_positions(1, window[:, 1, None], window[:, 3, None])
    if lattice.boundary[1] == "clamp":
        positions = positions.clip(0, cells - 1)
    width, taps = _block_width(lattice, positions if window is None else None, lanes, overhead)
    count = -(-lattice.size[1] // width)
    xp = np if window is None else jnp
    padding = [(0, 0)] * (positions.ndim - 1) + [(0, count * width - positions.shape[-1])]
    positions = xp.pad(positions, padding, mode="edge")
    positions = positions.reshape(*positions.shape[:-1], count, width)
    first = xp.floor(positions[..., :1])
    tap = np.arange(taps).reshape((1,) * (first.ndim - 1) + (taps,))
    tents = xp.maximum(1 - abs((positions - first)[..., None] - tap[..., None, :]), 0)
    met = first.astype(np.int32) + tap
    met = met % cells if lattice.boundary[1] == "wrap" else met
    one_hot = met[..., None] == np.arange(cells).reshape((1,) * met.ndim + (cells,))
    return ColumnBlocks(lattice.size[1], count, width, taps, tents, one_hot)


def _block_width(lattice, positions, lanes, overhead):
    """The cheapest width and its taps: wide blocks meet more cells, narrow ones repeat work."""
    columns = lattice.size[1]
    widest = min(-(-columns // lanes) * lanes, _WIDEST)
    best = None
    for width in range(lanes, widest + 1, lanes):
        count = -(-columns // width)
        if positions is None:
            taps = _taps_bound(lattice, width)
        else:
            taps = _taps_met(positions, width, count)
        padding = _PADDING_COST if columns % width else 1
        cost = count * (width + overhead) * taps * padding
        if best is None or cost < best[0]:
            best = (cost, width, taps)
    return best[1:]


def _taps_met(positions, width, count):
    """Taps needed by the widest-spread block of known positions."""
    first = positions[::width]
    last = np.append(positions[width - 1 :: width], positions[-1:])[:count]
    return int((np.floor(last) - np.floor(first)).max()) + 2


def _taps_bound(lattice, width):
    """Taps that suffice wherever a window lies.

    A window is never larger than its picture, which bounds the cells per pixel.
    """
    ends = 0 if lattice.convention == "half_pixel" else 1
    scale = (lattice.grid_shape[1] - ends) / max(lattice.size[1] - ends, 1)
    return math.floor(scale * (width - 1) + 1e-3) + 3

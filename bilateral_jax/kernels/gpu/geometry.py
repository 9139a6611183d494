"""Where pixels meet cells, prepared outside the kernels: positions, depth planes, blocks of pixels.

Receives a `Lattice` and windows from `kernels/gpu/slicing.py` and `kernels/gpu/splatting.py`.
Hands small arrays back to them.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np

from bilateral_jax import lattice as lattice_lib

# What a program costs beyond its pixels, counted in pixels: its table entries are loaded once per
# interval between two cells, its positions and bounds computed once.
_INTERVAL_COST = 40
_PROGRAM_COST = 60


@dataclasses.dataclass(frozen=True)
class Blocks:
    """An axis of pixels cut into blocks.

    Attributes:
      length: pixels that a block has room for.
      starts: int32 `[blocks + 1]`, first pixel of each block and the end of the last.
    """

    length: int
    starts: np.ndarray

    @property
    def count(self) -> int:
        """The number of blocks."""
        return len(self.starts) - 1


def affine_positions(lattice, window, axis: int):
    """Scale and shift that take pixel indices to positions along gh or gw: float32 `[1 or n, 2]`.

    Args:
      lattice: the `Lattice`.
      window: int32 `[n, 4]` of a traced window, or None.
      axis: 0 for rows, 1 for columns.
    """
    cells = lattice.grid_shape[axis]
    if window is None:
        start, full = np.float64(lattice.origin[axis]), np.float64(lattice.full_size[axis])
    else:
        start, full = (window[:, k].astype(jnp.float32) for k in (axis, axis + 2))
    xp = np if window is None else jnp
    if lattice.convention == "half_pixel":
        scale = cells / full
        shift = (start + 0.5) * scale - 0.5
    else:
        scale = (cells - 1) / xp.maximum(full - 1, 1)
        shift = start * scale
    return jnp.asarray(xp.stack([scale, shift], axis=-1), jnp.float32).reshape(-1, 2)


def row_tents(lattice, window):
    """Weights of the grid's rows at each pixel row: float32 `[1 or n, h, gh]`."""
    if window is None:
        positions = lattice.rows()[None]
    else:
        positions = lattice.pixel_positions(0, window[:, 0, None], window[:, 2, None])
    tents = lattice_lib.tents(positions, lattice.grid_shape[0], lattice.boundary[0])
    return jnp.asarray(tents, jnp.float32)


def plane_cells(lattice, order: int) -> np.ndarray:
    """What each depth plane of a kernel weighs, as a mix of depth cells: `[plane, gd]`.

    Order 0 has a plane per cell centre, and on a ring the first cell's again at the far end. Order
    1 has one per gap between two centres, holding the slope there.
    """
    gd, ring = lattice.grid_shape[2], lattice.boundary[2] == "wrap"
    centres = np.eye(gd, dtype=np.float32)[np.arange(gd + ring) % gd]
    return centres if order == 0 else np.float32(lattice.depth_scale) * np.diff(centres, axis=0)


def cut(lattice, window, axis: int, lengths) -> Blocks:
    """Cuts an axis into the cheapest blocks, where it can along the centres of cells.

    A block is worked through once for each interval between two cell centres that it meets, so one
    that stays inside an interval costs the least.

    Args:
      lattice: the `Lattice`.
      window: int32 `[n, 4]` of a traced window, or None.
      axis: 0 for rows, 1 for columns.
      lengths: how long a block may be, to choose from.

    Returns:
      `Blocks`.
    """
    size = lattice.size[axis]
    if window is None:
        positions = (lattice.rows, lattice.columns)[axis]()
        intervals = np.floor(_clamped(positions, lattice, axis)).astype(np.int64)
    else:
        # A window is never larger than its picture, which bounds the cells per pixel.
        intervals = (np.arange(size) * (lattice.grid_shape[axis] / size)).astype(np.int64)
    candidates = []
    for length in lengths:
        candidates.append(Blocks(length, np.append(np.arange(0, size, length), size)))
        if window is None:
            candidates.append(Blocks(length, _along_intervals(intervals, length)))
    best = min(candidates, key=lambda blocks: _cost(blocks, intervals))
    return dataclasses.replace(best, starts=best.starts.astype(np.int32))


def cells_met(lattice, window, axis: int, blocks: Blocks):
    """The cells that each block of pixels lies between.

    Args:
      lattice: the `Lattice`.
      window: int32 `[n, 4]` of a traced window, or None.
      axis: 0 for rows, 1 for columns.
      blocks: of that axis.

    Returns:
      The first cell of each block, int32 `[1 or n, blocks]`, on a ring not yet wrapped; and how
      many neighbouring cells a block may meet at most.
    """
    if window is None:
        positions = (lattice.rows, lattice.columns)[axis]()
        intervals = np.floor(_clamped(positions, lattice, axis)).astype(np.int32)
        first = intervals[blocks.starts[:-1]]
        met = intervals[blocks.starts[1:] - 1] - first
        return jnp.asarray(first[None]), int(met.max()) + 2
    start, full = window[:, axis, None], window[:, axis + 2, None]
    positions = lattice.pixel_positions(axis, start, full)[:, blocks.starts[:-1]]
    first = jnp.floor(_clamped(positions, lattice, axis)).astype(jnp.int32)
    # A window is never larger than its picture, which bounds the cells per pixel.
    ends = 0 if lattice.convention == "half_pixel" else 1
    scale = (lattice.grid_shape[axis] - ends) / max(lattice.size[axis] - ends, 1)
    longest = int(np.diff(blocks.starts).max())
    return first, int(scale * (longest - 1) + 1e-3) + 3


def _clamped(positions, lattice, axis):
    if lattice.boundary[axis] == "wrap":
        return positions
    return positions.clip(0, max(lattice.grid_shape[axis] - 1.5, 0))


def _along_intervals(intervals, length):
    """Starts of blocks none of which meets two intervals, those of one interval equally long."""
    edges = np.flatnonzero(np.diff(intervals)) + 1
    edges = [0, *edges.tolist(), len(intervals)]
    starts = [
        np.linspace(first, last, -(-(last - first) // length), endpoint=False).astype(np.int64)
        for first, last in zip(edges[:-1], edges[1:])
    ]
    return np.append(np.concatenate(starts), len(intervals))


def _cost(blocks, intervals):
    met = 1 + intervals[blocks.starts[1:] - 1] - intervals[blocks.starts[:-1]]
    return np.sum(met * (blocks.length + _INTERVAL_COST) + _PROGRAM_COST)

"""Row tiles and column tiles of the GPU kernels, and the grid cells that each tile meets."""

import dataclasses

import jax.numpy as jnp
import numpy as np

# What a program costs beyond its pixels, counted in pixels: its table entries are loaded once per
# interval between two cells, its positions and bounds computed once.
_INTERVAL_COST = 40
_PROGRAM_COST = 60


@dataclasses.dataclass(frozen=True)
class Tiles:
    """An axis of pixels cut into tiles.

    Attributes:
      length: most pixels of a tile.
      starts: int32 `[tiles + 1]`, first pixel of each tile and the end of the last.
    """

    length: int
    starts: np.ndarray

    @property
    def count(self) -> int:
        """The number of tiles."""
        return len(self.starts) - 1


def cut(lattice, window, axis: int, lengths) -> Tiles:
    """Cuts an axis into the cheapest tiles, at cell centres where it can.

    A tile is processed once for each interval between two cell centres that it meets: one that
    stays inside an interval costs the least.

    Args:
      lattice: the `Lattice`.
      window: int32 `[n, 4]` of a traced window, or None.
      axis: 0 for rows, 1 for columns.
      lengths: tile lengths to choose from.

    Returns:
      `Tiles`.
    """
    size = lattice.size[axis]
    if window is None:
        positions = lattice.axis_positions(axis)[0]
        intervals = np.floor(_clamped(positions, lattice, axis)).astype(np.int64)
    else:
        # A window is never larger than its image, which bounds the cells per pixel.
        intervals = (np.arange(size) * (lattice.grid_shape[axis] / size)).astype(np.int64)
    candidates = []
    for length in lengths:
        candidates.append(Tiles(length, np.append(np.arange(0, size, length), size)))
        if window is None:
            candidates.append(Tiles(length, _along_intervals(intervals, length)))
    best = min(candidates, key=lambda tiles: _cost(tiles, intervals))
    return dataclasses.replace(best, starts=best.starts.astype(np.int32))


def cells_met(lattice, window, axis: int, tiles: Tiles):
    """The cells that each tile lies between.

    Args:
      lattice: the `Lattice`.
      window: int32 `[n, 4]` of a traced window, or None.
      axis: 0 for rows, 1 for columns.
      tiles: of that axis.

    Returns:
      The first cell of each tile, int32 `[1 or n, tiles]`, on a ring not yet wrapped; and how many
      neighbouring cells a tile meets at most.
    """
    if window is None:
        positions = lattice.axis_positions(axis)[0]
        intervals = np.floor(_clamped(positions, lattice, axis)).astype(np.int32)
        first = intervals[tiles.starts[:-1]]
        met = intervals[tiles.starts[1:] - 1] - first
        return jnp.asarray(first[None]), int(met.max()) + 2
    positions = lattice.axis_positions(axis, window)[:, tiles.starts[:-1]]
    first = jnp.floor(_clamped(positions, lattice, axis)).astype(jnp.int32)
    # A window is never larger than its image, which bounds the cells per pixel.
    scale = lattice.cells_per_pixel(axis, lattice.size[axis])
    longest = int(np.diff(tiles.starts).max())
    return first, int(scale * (longest - 1) + 1e-3) + 3


def _clamped(positions, lattice, axis):
    if lattice.boundary[axis] == "wrap":
        return positions
    return positions.clip(0, max(lattice.grid_shape[axis] - 1.5, 0))


def _along_intervals(intervals, length):
    """Starts of tiles within one interval each; the tiles of an interval are equally long."""
    edges = np.flatnonzero(np.diff(intervals)) + 1
    edges = [0, *edges.tolist(), len(intervals)]
    starts = [
        np.linspace(first, last, -(-(last - first) // length), endpoint=False).astype(np.int64)
        for first, last in zip(edges[:-1], edges[1:])
    ]
    return np.append(np.concatenate(starts), len(intervals))


def _cost(tiles, intervals):
    met = 1 + intervals[tiles.starts[1:] - 1] - intervals[tiles.starts[:-1]]
    return np.sum(met * (tiles.length + _INTERVAL_COST) + _PROGRAM_COST)

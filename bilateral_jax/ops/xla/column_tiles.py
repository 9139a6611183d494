"""Column tiles: the few neighbouring cells that each tile meets, and the offsets of its pixels.

Inside one tile the cells are the same for every pixel, so that only the weights vary from pixel to
pixel. They are known when the program is built, or when the window is; never an index per pixel.

The cells of all tiles form one row of table entries: tile `b` meets the entries `step * b`, `step *
b + 1`, ... one per tap. Where tiles are as wide as cells, neighbours share entries and `step` is 1:
the entries are the row of cells with its two ends repeated, hardly more than the grid has.
Elsewhere `step` is `taps`, and each tile has entries of its own.

Best are tiles as wide as a cell, or as half of one: `per_cell` says so. They take the grid's own
cells as entries. Tile `b` meets the cells from `first(b) = (b + per_cell - 1) // per_cell - 1` on,
three of them, or two for half cells; a cell beyond the border weighs 0, so that any number may be
in its place.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax import lattice as lattice_lib

# No tile is wider: a row of it should stay in the innermost cache.
_WIDEST = 1024
# A traced window may reach beyond its image by so many columns (`inference/` rounds widths up).
BEYOND = 64
# What a pixel with a table of its own costs, in pixels and taps; measured at 7 columns, 16 cells.
_PIXELWISE_COST = 40
# What a pixel beyond the last multiple of the lanes costs, in pixels.
_RAGGED_COST = 3


class Costs(NamedTuple):
    """The cost model of tile widths, for one operation.

    Attributes:
      lanes: a tile that is not a multiple of this wide ends in a slower loop.
      overhead: work per row and tile, in pixels.
      padding: factor of a width that does not divide the columns (copies with padding).
      halves: factor of tiles of half a cell.
      own_entries: factor of other tiles with entries of their own (a table larger than the caches).
    """

    lanes: int
    overhead: int
    padding: float
    halves: float
    own_entries: float


@dataclasses.dataclass(frozen=True)
class ColumnTiles:
    """The columns of an image in equal tiles; arrays have an axis `n` only for traced windows.

    Attributes:
      columns: pixels of a row.
      count: tiles of a row.
      width: pixels of a tile; the last tile is padded.
      taps: neighbouring cells that a tile may meet.
      step: table entries from one tile's first tap to the next one's.
      offsets: `[(n,) count, width]`, position of each pixel relative to its tile's first tap: 0 at
        the first, 1 at the second. At a clamped border, taps beyond the outermost cells weigh 0.
      entries: `[(n,) step * (count - 1) + taps, gw]`, the weights of the cells in each table entry:
        one-hot where a tile has several pixels.
      per_cell: 1 or 2 where tiles are cells or halves of cells as above; 0 elsewhere.
    """

    columns: int
    count: int
    width: int
    taps: int
    step: int
    offsets: np.ndarray | jax.Array
    entries: np.ndarray | jax.Array
    per_cell: int = 0

    @property
    def exact(self):
        """Whether the tiles fill the rows without padding."""
        return self.count * self.width == self.columns

    def of(self, example):
        """Selects the tiles of one example; None selects all."""
        if example is None or self.offsets.ndim == 2:
            return self
        offsets, entries = (
            jax.lax.dynamic_slice_in_dim(array, example, 1, axis=0)
            for array in (self.offsets, self.entries)
        )
        return dataclasses.replace(self, offsets=offsets, entries=entries)

    def pad(self, pixels):
        """Pads with zeros: `[n, h, columns, ...]` -> `[n, h, count * width, ...]`."""
        padding = self.count * self.width - self.columns
        return jnp.pad(pixels, ((0, 0), (0, 0), (0, padding)) + ((0, 0),) * (pixels.ndim - 3))

    def split(self, pixels):
        """Splits into tiles: `[n, h, count * width, ...]` -> `[n, h, count, width, ...]`."""
        return pixels.reshape(*pixels.shape[:2], self.count, self.width, *pixels.shape[3:])

    def join(self, pixels):
        """Joins tiles, without padding: `[n, h, count, width, ...]` -> `[n, h, columns, ...]`."""
        joined = pixels.reshape(*pixels.shape[:2], self.count * self.width, *pixels.shape[4:])
        return joined[:, :, : self.columns]

    def tap(self, entries, t, axis):
        """The table entries of tap `t`, one per tile along `axis`."""
        end = t + self.step * (self.count - 1) + 1
        return jax.lax.slice_in_dim(entries, t, end, self.step, axis)


def column_tiles(lattice, window, costs):
    """Cuts the columns of a lattice into tiles.

    Args:
      lattice: the `Lattice`.
      window: int32 `[n, 4]` of a traced window, or None.
      costs: the cost model of the operation.

    Returns:
      `ColumnTiles`, traced where the window is.
    """
    if window is None:
        positions = lattice.columns()
    else:
        positions = lattice.axis_positions(1, window)
        # A traced window may reach beyond its image, whose last column then holds; unclipped, a
        # tile there would meet more cells than it has taps.
        if lattice.boundary[1] == "clamp":
            positions = positions.clip(0, lattice.grid_shape[1] - 1)
    known = positions if window is None else None
    width, taps = _tile_width(lattice, known, costs)
    if not width:
        return _pixelwise(lattice, positions)
    count = -(-lattice.size[1] // width)
    xp = np if window is None else jnp
    padding = [(0, 0)] * (positions.ndim - 1) + [(0, count * width - positions.shape[-1])]
    positions = xp.pad(positions, padding, mode="edge")
    positions = positions.reshape(*positions.shape[:-1], count, width)
    first = xp.floor(positions[..., 0]).astype(np.int32)
    tap = np.arange(taps).reshape((1,) * first.ndim + (taps,))
    if window is None and _consecutive(first):
        step, met = 1, first[0] + np.arange(count - 1 + taps)
    else:
        step, met = taps, (first[..., None] + tap).reshape(*first.shape[:-1], count * taps)
    cells, per_cell = lattice.grid_shape[1], 0
    if lattice.boundary[1] == "wrap":
        met = met % cells
    else:
        positions, met = positions.clip(0, cells - 1), met.clip(0, cells - 1)
        per_cell = _per_cell(first, taps, cells) if window is None else 0
    offsets = positions - first[..., None]
    entries = met[..., None] == np.arange(cells).reshape((1,) * met.ndim + (cells,))
    return ColumnTiles(lattice.size[1], count, width, taps, step, offsets, entries, per_cell)


def _pixelwise(lattice, positions):
    """Tiles of one pixel, whose one entry is already interpolated along gw."""
    columns = lattice.size[1]
    tents = lattice_lib.tents(positions, lattice.grid_shape[1], lattice.boundary[1])
    offsets = np.zeros((1,) * (positions.ndim - 1) + (columns, 1))
    return ColumnTiles(columns, columns, 1, 1, 1, offsets, tents)


def _consecutive(first):
    """Whether each tile begins one cell after the one before it."""
    return bool((np.diff(first) == 1).all())


def _per_cell(first, taps, cells):
    """Tiles per cell, 1 or 2, if they begin where the module says; else 0."""
    for tiles in (1, 2):
        if len(first) == tiles * cells and taps == 4 - tiles:
            begins = (np.arange(len(first)) + tiles - 1) // tiles - 1
            if (first == begins).all():
                return tiles
    return 0


def _tile_width(lattice, positions, costs):
    """The cheapest width and its taps: wide tiles meet more cells, narrow ones repeat work.

    `(0, 0)` where no width pays, because cells are hardly wider than pixels.
    """
    columns, lanes = lattice.size[1], costs.lanes
    widest = min(-(-columns // lanes) * lanes, _WIDEST)
    widths = set(range(lanes, widest + 1, lanes))
    if positions is not None:
        widths |= {w for w in range(lanes, min(columns, _WIDEST) + 1) if columns % w == 0}
        cell = -(-columns // lattice.grid_shape[1])
        widths |= {width for width in (cell // 2, cell) if lanes <= width <= _WIDEST}
    best = (_PIXELWISE_COST * columns, 0, 0)
    for width in sorted(widths):
        count = -(-columns // width)
        entries = costs.own_entries
        if positions is None:
            taps = _taps_bound(lattice, width)
        else:
            first, taps = _taps_met(positions, width, count)
            if _consecutive(first):
                entries = 1
            elif _per_cell(first, taps, lattice.grid_shape[1]):
                entries = costs.halves
        work = width + costs.overhead + _RAGGED_COST * (width % lanes)
        cost = count * work * taps
        cost *= costs.padding if columns % width else 1
        cost *= entries
        if cost < best[0]:
            best = (cost, width, taps)
    return best[1:]


def _taps_met(positions, width, count):
    """The first cell of each tile of known positions, and the most taps that one needs."""
    first = np.floor(positions[::width]).astype(np.int32)
    last = np.append(positions[width - 1 :: width], positions[-1:])[:count]
    taps = int((np.floor(last) - first).max()) + 2
    return first, taps


def _taps_bound(lattice, width):
    """Taps that suffice wherever a window lies.

    A window is hardly larger than its image, which bounds the cells per pixel.
    """
    spread = lattice.cells_per_pixel(1, lattice.size[1] - BEYOND) * (width - 1)
    if lattice.boundary[1] == "clamp":
        spread = min(spread, lattice.grid_shape[1] - 1)
    return math.floor(spread + 1e-3) + 3

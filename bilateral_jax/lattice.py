"""Where a pixel falls in a bilateral grid: positions, borders, tent weights, depth planes.

The conventions of the whole library are stated here, once.

| thing         | rule                                                                             |
|---------------|----------------------------------------------------------------------------------|
| axis letters  | `b` batch, `h w` pixels, `c` channels, `gh gw gd` grid rows, columns, depth      |
| image         | float, `[..., h, w, c]`, in [0, 1], display-referred sRGB unless said otherwise  |
| guide         | float, `[..., h, w]`, in [0, 1]; outside it clamps; a NaN touches its pixel only |
| grid          | float, `[..., gh, gw, gd, *features]`                                            |
| affine grid   | features `[n_out, n_in + 1]`, offset last; `[n_out, n_in]` has no offset         |
| pixel to grid | `(x + 0.5) * gw / w - 0.5`, rows alike, depth `guide * gd - 0.5` ("half_pixel")  |
| border        | beyond the outermost cell centres the outermost cell holds ("clamp")             |
| weight        | the exact tent `max(1 - |distance|, 0)`; weights of a pixel sum to 1             |

Two options change the lattice, per call and never silently: `convention="align_corners"` puts the
first and the last cell centre *on* the first and last pixel (and on guide 0 and 1), which is what
radiance-field libraries train; `boundary="wrap"` closes an axis into a ring (a panorama's columns,
a hue's depth).

A position is a real number in units of cells; cell `k` has its centre at position `k`.

Depth planes write the interpolation along gd as dense arithmetic. A plane is one weight per pixel
(`plane_weights`) and one mix of depth cells (`Lattice.plane_cells`). For the value (order 0) plane
`k` is the tent of cell `k`; for the derivative in the guide (order 1) it is the indicator of the
gap from cell `k` to `k + 1`, and its mix is the slope there. A ring has one plane more, which leads
back to cell 0.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Convention = Literal["half_pixel", "align_corners"]
Boundary = Literal["clamp", "wrap"]

CONVENTIONS = ("half_pixel", "align_corners")
BOUNDARIES = ("clamp", "wrap")


@dataclasses.dataclass(frozen=True)
class Lattice:
    """How one image lies on one grid; hashable, so that it can be a static argument.

    Attributes:
      grid_shape: `(gh, gw, gd)`.
      size: `(h, w)` of the pixels.
      full_size: `(height, width)` of the image that the pixels are a crop of.
      origin: `(top, left)` of the crop in that image.
      convention: `"half_pixel"` or `"align_corners"`.
      boundary: `"clamp"` or `"wrap"` for each of gh, gw, gd.
    """

    grid_shape: tuple[int, int, int]
    size: tuple[int, int]
    full_size: tuple[int, int]
    origin: tuple[int, int] = (0, 0)
    convention: Convention = "half_pixel"
    boundary: tuple[Boundary, Boundary, Boundary] = ("clamp", "clamp", "clamp")

    def rows(self) -> np.ndarray:
        """Positions `[h]` of the pixel rows along gh, float64."""
        return self.axis_positions(0)[0]

    def columns(self) -> np.ndarray:
        """Positions `[w]` of the pixel columns along gw, float64."""
        return self.axis_positions(1)[0]

    def axis_positions(self, axis: int, window=None):
        """Positions of the pixels along gh or gw, not yet clamped or wrapped.

        Args:
          axis: 0 for rows, 1 for columns.
          window: int32 `[n, 4]`, (top, left, full height, full width) per example, used
            instead of `origin` and `full_size`; or None.

        Returns:
          `[1, pixels]`, float64; for a window `[n, pixels]`, float32.
        """
        start, full = self.origin[axis], self.full_size[axis]
        if window is not None:
            start, full = window[:, axis, None], window[:, axis + 2, None]
        index = np.arange(self.size[axis])[None]
        return positions(index + start, full, self.grid_shape[axis], self.convention)

    def affine_positions(self, axis: int, window=None):
        """Scale and shift from pixel index to position along gh or gw: float32 `[1 or n, 2]`.

        `index * scale + shift` is `axis_positions`, for programs that compute it pixel by pixel.
        """
        cells = self.grid_shape[axis]
        if window is None:
            start, full = np.float64(self.origin[axis]), np.float64(self.full_size[axis])
        else:
            start, full = (window[:, k].astype(jnp.float32) for k in (axis, axis + 2))
        xp = np if window is None else jnp
        if self.convention == "half_pixel":
            scale = cells / full
            shift = (start + 0.5) * scale - 0.5
        else:
            scale = (cells - 1) / xp.maximum(full - 1, 1)
            shift = start * scale
        return jnp.asarray(xp.stack([scale, shift], axis=-1), jnp.float32).reshape(-1, 2)

    def axis_tents(self, axis: int, window=None):
        """Tent weights of the cells along gh or gw at each pixel: `[1 or n, pixels, cells]`."""
        position = self.axis_positions(axis, window)
        return tents(position, self.grid_shape[axis], self.boundary[axis])

    def cells_per_pixel(self, axis: int, pixels: int) -> float:
        """Step of the positions along gh or gw in an image of so many `pixels`."""
        ends = 0 if self.convention == "half_pixel" else 1
        return (self.grid_shape[axis] - ends) / max(pixels - ends, 1)

    def depth(self, guide):
        """Positions along gd of guide values, not yet clamped or wrapped."""
        return unit_positions(guide, self.grid_shape[2], self.convention)

    @property
    def depth_scale(self) -> float:
        """Cells per unit of the guide; also the factor of every derivative in the guide."""
        cells = self.grid_shape[2]
        return float(cells if self.convention == "half_pixel" else cells - 1)

    def plane_cells(self, order: int) -> np.ndarray:
        """The mix of depth cells that each depth plane stands for: float32 `[planes, gd]`.

        Exact in float32. No planes where a single cell leaves no slope.
        """
        gd, ring = self.grid_shape[2], self.boundary[2] == "wrap"
        centres = np.eye(gd, dtype=np.float32)[np.arange(gd + ring) % gd]
        return centres if order == 0 else np.float32(self.depth_scale) * np.diff(centres, axis=0)

    def plane_count(self, order: int) -> int:
        """Number of depth planes."""
        return self.grid_shape[2] + (self.boundary[2] == "wrap") - order

    def plane_positions(self, guide, order: int):
        """Positions along gd for `plane_weights`: on a ring modulo gd, else clamped.

        Not clamped for the derivative, which is 0 beyond the outermost centres. NaN stays NaN.
        """
        depth, gd = self.depth(guide), self.grid_shape[2]
        if self.boundary[2] == "wrap":
            return depth - gd * jnp.floor(depth / gd)
        if order == 1:
            return depth
        depth = select_larger(depth, 0)
        high = lax.full_like(depth, gd - 1)
        return lax.select(lax.gt(depth, high), high, depth)


def positions(index, full, cells: int, convention: Convention):
    """Positions in cells of the pixels `index` of an axis `full` pixels long.

    half_pixel: `(index + 0.5) * cells / full - 0.5`. align_corners: `index * (cells - 1) / (full -
    1)`, and 0 where the axis has one pixel only.

    Args:
      index: pixel indices in the full image, any shape.
      full: length of the axis in the full image.
      cells: number of cells along the axis.
      convention: `"half_pixel"` or `"align_corners"`.

    Returns:
      Positions with the shape of `index`: float64 from NumPy input, float32 from JAX arrays.
    """
    traced = isinstance(index, jax.Array) or isinstance(full, jax.Array)
    xp = jnp if traced else np
    index = xp.asarray(index, dtype=jnp.float32 if traced else np.float64)
    if convention == "half_pixel":
        return (index + 0.5) * (cells / full) - 0.5
    return index * ((cells - 1) / xp.maximum(full - 1, 1))


def unit_positions(coordinate, cells: int, convention: Convention):
    """Positions in cells of coordinates in [0, 1] along an axis, not yet clamped or wrapped.

    Args:
      coordinate: values in [0, 1], any shape: a guide along gd, or coordinates along gh or gw.
      cells: number of cells along the axis.
      convention: `"half_pixel"` or `"align_corners"`.

    Returns:
      Positions with the shape and kind of `coordinate`.
    """
    if convention == "half_pixel":
        return coordinate * cells - 0.5
    return coordinate * (cells - 1)


def corners(position, cells: int, boundary: Boundary):
    """The two cells between which a position lies, and how far it is from the first to the second.

    Args:
      position: positions in cells, any shape.
      cells: number of cells along the axis.
      boundary: `"clamp"` or `"wrap"`.

    Returns:
      `(lower, upper, fraction)`: integer cell indices in [0, cells) and a weight in [0, 1] for
      `upper`; the weight of `lower` is `1 - fraction`. A NaN position gives cell 0 and a NaN
      fraction.
    """
    xp = jnp if isinstance(position, jax.Array) else np
    if boundary == "clamp":
        position = xp.clip(position, 0, cells - 1)
    floor = xp.floor(position)
    lower = xp.where(xp.isfinite(floor), floor, 0).astype(np.int32)
    if boundary == "clamp":
        return lower, xp.minimum(lower + 1, cells - 1), position - floor
    return lower % cells, (lower + 1) % cells, position - floor


def tents(position, cells: int, boundary: Boundary):
    """Dense interpolation weights: one tent per cell, each row sums to 1.

    Args:
      position: positions in cells, `[...]`.
      cells: number of cells along the axis.
      boundary: `"clamp"` or `"wrap"`.

    Returns:
      Weights `[..., cells]`.
    """
    xp = jnp if isinstance(position, jax.Array) else np
    cell = np.arange(cells).reshape((1,) * position.ndim + (cells,))
    if boundary == "clamp":
        return tent(xp.clip(position, 0, cells - 1)[..., None], cell, larger=xp.maximum)
    # On a ring a cell is met from both sides; with one or two cells the two sides overlap and add
    # up.
    offset = (position % cells)[..., None] - cell
    return sum(tent(offset, shift, larger=xp.maximum) for shift in (-cells, 0, cells))


def select_larger(x, low):
    """`max(x, low)` of an array and a number as a comparison and a selection; NaN stays NaN.

    One instruction of a CPU, where `maximum` and `clip` spend four on NaN; this order of the
    operands lets NaN through. In `jax.lax`, which traces faster than `jax.numpy`.

    Args:
      x: array.
      low: number.
    """
    low = lax.full_like(x, low)
    return lax.select(lax.lt(x, low), low, x)


def tent(position, cell, *, larger=select_larger):
    """Interpolation weight of a cell at positions of any shape: `max(1 - |position - cell|, 0)`.

    Args:
      position: positions in cells.
      cell: index of the cell, or an array that broadcasts.
      larger: the maximum of an array and a number. GPU and TPU kernels pass `jnp.maximum`, one
        instruction there (a GPU's drops NaN).
    """
    return larger(1 - abs(position - cell), 0)


def plane_weights(depth, k, order: int, *, larger=select_larger):
    """Weights of depth plane `k` at positions of any shape, which `k` broadcasts against.

    At a cell's centre the derivative is the one to the right. NaN makes tents NaN, indicators 0.

    Args:
      depth: positions from `Lattice.plane_positions`.
      k: index of the plane, or an array of them.
      order: 0, or 1 for the derivative in the guide.
      larger: as for `tent`.
    """
    if order == 1:
        return ((depth >= k) & (depth < k + 1)).astype(depth.dtype)
    return tent(depth, k, larger=larger)


def all_plane_weights(depth, planes: int, order: int):
    """List of `plane_weights` of every depth plane.

    Args:
      depth: as for `plane_weights`.
      planes: number of planes.
      order: as for `plane_weights`.
    """
    return [plane_weights(depth, k, order) for k in range(planes)]


def tap_tents(offset, taps: int):
    """List of the tents of `taps` >= 2 neighbouring cells at positions among them.

    Args:
      offset: positions relative to the first of the cells, in [0, taps - 1]. So the tents of the
        first and the last have one side only.
      taps: number of cells.
    """
    first, last = 1 - offset, offset - (taps - 2)
    inner = [tent(offset, t) for t in range(1, taps - 1)]
    return [select_larger(first, 0), *inner, select_larger(last, 0)]

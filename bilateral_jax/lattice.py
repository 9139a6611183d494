"""Where a pixel falls in a bilateral grid: centres, scales, borders, tents and ramps.

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
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

Convention = Literal["half_pixel", "align_corners"]
Boundary = Literal["clamp", "wrap"]

CONVENTIONS = ("half_pixel", "align_corners")
BOUNDARIES = ("clamp", "wrap")


@dataclasses.dataclass(frozen=True)
class Lattice:
    """How one image lies on one grid; hashable, so that it can be a static argument.

    Attributes:
      grid_shape: `(gh, gw, gd)`.
      size: `(h, w)` of the pixels at hand.
      full_size: `(height, width)` of the picture that the pixels at hand are a crop of.
      origin: `(top, left)` of the crop in that picture.
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
        return self.pixel_positions(0, self.origin[0], self.full_size[0])

    def columns(self) -> np.ndarray:
        """Positions `[w]` of the pixel columns along gw, float64."""
        return self.pixel_positions(1, self.origin[1], self.full_size[1])

    def pixel_positions(self, axis: int, start, full):
        """Positions along gh or gw of these pixels, as a crop that begins at `start`.

        Args:
          axis: 0 for rows, 1 for columns.
          start: first row or column of the crop in the full picture: an int, or a traced integer
            `[..., 1]`.
          full: height or width of the full picture; like `start`.

        Returns:
          `[..., n]` positions: float64 for ints, float32 where `start` or `full` are traced.
        """
        index = np.arange(self.size[axis]).reshape((1,) * max(np.ndim(start) - 1, 0) + (-1,))
        return positions(index + start, full, self.grid_shape[axis], self.convention)

    def depth(self, guide):
        """Positions along gd of guide values, not yet clamped or wrapped."""
        return unit_positions(guide, self.grid_shape[2], self.convention)

    @property
    def depth_scale(self) -> float:
        """Cells per unit of the guide; also the factor of every derivative in the guide."""
        cells = self.grid_shape[2]
        return float(cells if self.convention == "half_pixel" else cells - 1)


def positions(index, full, cells: int, convention: Convention):
    """Positions in cells of the pixels `index` of an axis `full` pixels long.

    half_pixel: `(index + 0.5) * cells / full - 0.5`. align_corners: `index * (cells - 1) / (full -
    1)`, and 0 where the axis has one pixel only.

    Args:
      index: pixel indices in the full picture, any shape.
      full: length of the axis in the full picture.
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
      coordinate: values in [0, 1], any shape: a guide along gd, or places along gh or gw.
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
        distance = xp.abs(xp.clip(position, 0, cells - 1)[..., None] - cell)
        return xp.maximum(1 - distance, 0)
    # On a ring a cell is met from both sides; with one or two cells the two sides overlap and add
    # up.
    offset = (position % cells)[..., None] - cell
    return sum(xp.maximum(1 - xp.abs(offset - turn), 0) for turn in (-cells, 0, cells))

"""Operations on whole grids: blur, sampling at points, total variation, the identity grid."""

import math
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax import lattice as lattice_lib
from bilateral_jax.ops import checks

# Points per matrix product in `sample`: bounds its temporaries at some tens of megabytes.
_SAMPLE_CHUNK = 16384


# Reach of the widest kernel of `blur`, in cells: bounds its time and memory.
_WIDEST_BLUR = 1 << 16
# Cells along an axis that `blur` takes: it makes a matrix of their square.
_MOST_CELLS = 1 << 14


def blur(
    grid,
    sigma: float | tuple[float, float, float],
    *,
    feature_axes: int | None = None,
    boundary="clamp",
) -> jax.Array:
    """Gaussian blur of a grid along gh, gw and gd, separably, each feature on its own.

    The kernel is the sampled Gaussian `exp(-d^2 / 2 sigma^2)` over `|d| <= ceil(4 sigma)`,
    normalised to sum 1. A cell that is not finite makes NaN the cells within the kernel's reach.

    Args:
      grid: `[*b, gh, gw, gd, *features]`.
      sigma: standard deviation in cells: one number, or one for each of (gh, gw, gd). 0 leaves an
        axis as it is.
      feature_axes: how many trailing axes are features. None: 0 for a grid of three axes, 1 for
        four; required for five or more, which can be read two ways.
      boundary: what lies beyond the border, one for all axes or one for each: `"clamp"` (the
        outermost cell repeats), `"wrap"` (a ring) or `"zero"` (nothing; right for the homogeneous
        pair of `splat`, where empty cells carry no weight).

    Returns:
      The blurred grid, in the shape and dtype of `grid`, summed in float32 (float64 if the grid
      is).

    Raises:
      TypeError: if the grid is not floating point.
      ValueError: for a grid with too few or ambiguous axes, a negative or non-finite sigma, an
        unknown boundary; an axis of over 16384 cells or a sigma of over 16384.

    Reference:
      Chen, Paris, Durand 2007, section 3.2 (processing in the grid); Paris, Durand 2006, section 4.
    """
    grid = checks.floating("grid", grid, 3, "[*b, gh, gw, gd, *features]")
    feature_axes = checks.grid_feature_axes(grid, feature_axes)
    boundaries = checks.boundary(boundary, ("zero",))
    sigmas = _sigmas(sigma)
    dtype, first = grid.dtype, grid.ndim - feature_axes - 3
    wide = jnp.promote_types(dtype, jnp.float32)
    grid = grid.astype(wide)
    for axis, (axis_sigma, axis_boundary) in enumerate(zip(sigmas, boundaries, strict=True), first):
        if axis_sigma > 0 and (grid.shape[axis] > 1 or axis_boundary == "zero"):
            if grid.shape[axis] > _MOST_CELLS or 4 * axis_sigma > _WIDEST_BLUR:
                raise ValueError(
                    f"blur takes axes of up to {_MOST_CELLS} cells and a sigma of up to "
                    f"{_WIDEST_BLUR // 4} cells, got an axis of {grid.shape[axis]} and sigma "
                    f"{axis_sigma:g}"
                )
            matrix = jnp.asarray(_gaussian(grid.shape[axis], axis_sigma, axis_boundary), wide)
            grid = _along(matrix, grid, axis)
    return grid.astype(dtype)


def _along(matrix, grid, axis):
    """The matrix times every line of cells along an axis; NaN where a weighted cell is not finite.

    `0 * NaN` is NaN: in one product with all cells it would reach beyond the kernel.
    """

    def product(matrix, cells):
        out = jnp.tensordot(matrix, cells, (1, axis), precision=jax.lax.Precision.HIGHEST)
        return jnp.moveaxis(out, 0, axis)

    finite = jnp.isfinite(grid)
    blurred = product(matrix, jnp.where(finite, grid, 0))
    reached = jax.lax.cond(
        finite.all(),
        lambda: finite & ~finite,  # none, in the same type of array
        lambda: product((matrix > 0).astype(matrix.dtype), (~finite).astype(matrix.dtype)) > 0,
    )
    return jnp.where(reached, jnp.nan, blurred)


def _sigmas(sigma) -> tuple[float, float, float]:
    try:
        values = np.broadcast_to(np.asarray(sigma, dtype=np.float64), (3,))
    except (TypeError, ValueError):
        values = np.array([np.nan])
    if not np.all(np.isfinite(values)) or np.any(values < 0):
        raise ValueError(
            f"sigma must be a finite number >= 0, or three of them for (gh, gw, gd), got {sigma!r}"
        )
    return tuple(float(value) for value in values)


def _gaussian(cells: int, sigma: float, boundary: str) -> np.ndarray:
    """`[cells, cells]`: row `i` has the weight of each cell in blurred cell `i`."""
    radius = math.ceil(4 * sigma)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    matrix = np.zeros((cells, cells))
    for i in range(cells):
        source = i + offsets
        inside = (source >= 0) & (source < cells) if boundary == "zero" else slice(None)
        source = source % cells if boundary == "wrap" else np.clip(source, 0, cells - 1)
        np.add.at(matrix[i], source[inside], kernel[inside])
    return matrix


def sample(
    grid,
    coordinates,
    *,
    feature_axes: int | None = None,
    convention: lattice_lib.Convention = "half_pixel",
    boundary="clamp",
) -> jax.Array:
    """Interpolates a grid at arbitrary points (trilinear): `slice` for points that form no image.

    Args:
      grid: `[*b, gh, gw, gd, *features]`.
      coordinates: `[*b, n, 3]`, each point `(y, x, depth)` in [0, 1] along (gh, gw, gd); outside it
        clamps (or wraps). A point with a NaN becomes NaN and affects no other. Gradients flow to
        the coordinates: the slope of the interpolation, at a cell centre the one to the right, as
        for `slice`, in clamped ranges 0.
      feature_axes: how many trailing axes of the grid are features. None: the grid has as many
        leading axes as the coordinates, and the rest are features; see `slice`.
      convention: `"half_pixel"` (0 and 1 are the outer borders of the outermost cells) or
        `"align_corners"` or `"corner_nodes"` (they are their centres; the two differ in where an
        image's pixels lie).
      boundary: `"clamp"` or `"wrap"`, one for all axes or one for each of (gh, gw, gd).

    Returns:
      `[*b, n, *features]` in the dtype of the grid, summed in float32 (float64 if an input is).

    Raises:
      TypeError: if an argument is not floating point.
      ValueError: for too few axes, coordinates that do not end in 3, leading axes that do not
        broadcast, an unknown convention or boundary.

    Reference:
      Wang et al. 2024 (bilateral guided radiance field processing), section 4.1: one grid per view,
      sampled at rays.
    """
    grid = checks.floating("grid", grid, 3, "[*b, gh, gw, gd, *features]")
    coordinates = checks.floating("coordinates", coordinates, 2, "[*b, n, 3]")
    if coordinates.shape[-1] != 3:
        raise ValueError(f"coordinates must end in 3 (y, x, depth), got shape {coordinates.shape}")
    boundaries = checks.boundary(boundary)
    convention = checks.convention(convention, boundaries)
    lead = checks.leading_axes("grid", grid.shape, coordinates.shape[:-2], 3, feature_axes)
    batch = checks.broadcast(grid=grid.shape[:lead], coordinates=coordinates.shape[:-2])
    features = grid.shape[lead + 3 :]
    wide = jnp.promote_types(jnp.promote_types(grid.dtype, coordinates.dtype), jnp.float32)
    flat_grid = grid.reshape(*grid.shape[: lead + 3], math.prod(features)).astype(wide)
    flat_grid = jnp.broadcast_to(flat_grid, (*batch, *flat_grid.shape[lead:]))
    points = jnp.broadcast_to(coordinates.astype(wide), (*batch, *coordinates.shape[-2:]))

    def sample_points(grid, points):
        return _sample_points(grid, points, convention, boundaries)

    for _ in batch:
        sample_points = jax.vmap(sample_points)
    return (
        sample_points(flat_grid, points).reshape(*points.shape[:-1], *features).astype(grid.dtype)
    )


def _sample_points(grid, points, convention, boundaries):
    """`[n, f]` of a grid `[gh, gw, gd, f]` at points `[n, 3]`: dense tents in bounded chunks."""
    gh, gw, gd, features = grid.shape

    def chunk(points):
        # A NaN point is moved to 0, so that the NaN reaches no gradient of the grid.
        lost = jnp.isnan(points).any(axis=-1, keepdims=True)
        finite = jnp.where(lost, 0, points)
        rows, columns, depths = (
            _tents(
                lattice_lib.unit_positions(finite[..., axis], cells, convention), cells, boundary
            )
            for axis, (cells, boundary) in enumerate(zip((gh, gw, gd), boundaries, strict=True))
        )
        plane = (rows[..., :, None] * columns[..., None, :]).reshape(*rows.shape[:-1], gh * gw)
        column = jnp.dot(
            plane, grid.reshape(gh * gw, gd * features), precision=jax.lax.Precision.HIGHEST
        ).reshape(*plane.shape[:-1], gd, features)
        return jnp.where(lost, jnp.nan, jnp.sum(column * depths[..., None], axis=-2))

    if points.shape[0] <= _SAMPLE_CHUNK:
        return chunk(points)
    return jax.lax.map(chunk, points, batch_size=_SAMPLE_CHUNK)


def _tents(position, cells, boundary):
    """`lattice.tents` with the slope that `slice` has: at a cell centre the one to the right."""
    if boundary == "clamp":
        position = jnp.where(position < 0, 0, jnp.where(position < cells - 1, position, cells - 1))
    lower = jax.lax.stop_gradient(jnp.floor(position))
    fraction = (position - lower)[..., None]
    lower, cell = lower[..., None], jnp.arange(cells).reshape((1,) * position.ndim + (cells,))
    upper = lower + 1
    if boundary == "wrap":
        lower, upper = lower % cells, upper % cells
    return jnp.where(cell == lower, 1 - fraction, 0) + jnp.where(cell == upper, fraction, 0)


def total_variation(grid, *, feature_axes: int | None = None) -> jax.Array:
    """Total variation of a grid: mean squared difference of neighbouring cells, summed over axes.

    Args:
      grid: `[*b, gh, gw, gd, *features]`; one number for each grid of a stack.
      feature_axes: as in `blur`.

    Returns:
      `[*b]`, float32 (float64 if the grid is). Its mean over a stack is the `total_variation_loss`
      of the public bilateral-grid codes for radiance fields. An axis of one cell adds nothing.

    Raises:
      TypeError: if the grid is not floating point.
      ValueError: for a grid with too few or ambiguous axes.

    Reference:
      Wang et al. 2024 (bilateral guided radiance field processing), section 4.1.
    """
    grid = checks.floating("grid", grid, 3, "[*b, gh, gw, gd, *features]")
    feature_axes = checks.grid_feature_axes(grid, feature_axes)
    grid = grid.astype(jnp.promote_types(grid.dtype, jnp.float32))
    first = grid.ndim - feature_axes - 3
    own = tuple(range(first, grid.ndim))
    total = jnp.zeros(grid.shape[:first], grid.dtype)
    for axis in own[:3]:
        if grid.shape[axis] > 1:
            total += jnp.mean(jnp.diff(grid, axis=axis) ** 2, axis=own)
    return total


def identity_grid(
    shape: tuple[int, ...], *, channels: int = 3, offset: bool = True, dtype=jnp.float32
) -> jax.Array:
    """A grid whose matrices leave every image unchanged: the initial grid of a fit.

    Args:
      shape: `(*b, gh, gw, gd)`; leading axes make a stack of grids.
      channels: number of image channels `c`.
      offset: whether the matrices carry an offset column.
      dtype: floating-point dtype of the result.

    Returns:
      `[*b, gh, gw, gd, c, c + 1]`, or `[*b, gh, gw, gd, c, c]` without offset.

    Raises:
      ValueError: for fewer than three axes or one that is not a positive int.
      TypeError: if `dtype` is not floating point.
    """
    sizes = tuple(shape) if isinstance(shape, Iterable) else ()
    if len(sizes) < 3 or any(not isinstance(s, int | np.integer) or s < 1 for s in sizes):
        raise ValueError(f"shape must be positive ints (*b, gh, gw, gd), got {shape!r}")
    if not isinstance(channels, int) or channels < 1:
        raise ValueError(f"channels must be a positive int, got {channels!r}")
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"dtype must be floating point, got {jnp.dtype(dtype)}")
    matrix = jnp.eye(channels, channels + bool(offset), dtype=dtype)
    return jnp.broadcast_to(matrix, (*sizes, *matrix.shape))


def grid_from_channels_first(stored, *, n_out: int = 3) -> jax.Array:
    """The affine grid of one that is stored channels first, as radiance-field code does.

    Args:
      stored: `[*b, n_out * n_columns, gd, gh, gw]`, matrices row by row: `[n, 12, gd, gh, gw]` for
        colour.
      n_out: rows of the matrices.

    Returns:
      `[*b, gh, gw, gd, n_out, n_columns]`, same dtype.

    Raises:
      TypeError: if `stored` is not floating point.
      ValueError: for fewer than four axes, or channels that are not a multiple of `n_out`.
    """
    stored = checks.floating("stored", stored, 4, "[*b, n_out * n_columns, gd, gh, gw]")
    channels = stored.shape[-4]
    if not isinstance(n_out, int) or n_out < 1 or channels % n_out:
        raise ValueError(
            f"n_out must be a positive int that divides the {channels} channels of stored, "
            f"got {n_out!r} and shape {stored.shape}"
        )
    lead = stored.shape[:-4]
    matrices = stored.reshape(*lead, n_out, channels // n_out, *stored.shape[-3:])
    return jnp.moveaxis(matrices, (-2, -1, -3), (-5, -4, -3))


def grid_to_channels_first(grid) -> jax.Array:
    """The inverse of `grid_from_channels_first`.

    Args:
      grid: `[*b, gh, gw, gd, n_out, n_columns]`.

    Returns:
      `[*b, n_out * n_columns, gd, gh, gw]`, same dtype.

    Raises:
      TypeError: if the grid is not floating point.
      ValueError: for fewer than five axes.
    """
    grid = checks.floating("grid", grid, 5, "[*b, gh, gw, gd, n_out, n_columns]")
    matrices = jnp.moveaxis(grid, (-5, -4, -3), (-2, -1, -3))
    return matrices.reshape(*grid.shape[:-5], -1, *matrices.shape[-3:])

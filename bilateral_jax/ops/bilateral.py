"""Slice, splat, apply and slice_apply of bilateral grids: the public contracts.

Checks and shapes arguments; the implementation is chosen in `ops/dispatch.py`. The conventions
(axis letters, ranges, where a pixel falls) are in `bilateral_jax/lattice.py`. Derivatives of any
order and mode come from `ops/primitives.py`, whichever implementation runs.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax import lattice as lattice_lib
from bilateral_jax.ops import checks, dispatch, primitives

Boundaries = lattice_lib.Boundary | tuple[lattice_lib.Boundary, ...]


def bilateral_slice(
    grid,
    guide,
    *,
    feature_axes: int | None = None,
    window: checks.Window = None,
    convention: lattice_lib.Convention = "half_pixel",
    boundary: Boundaries = "clamp",
    implementation: str | None = None,
) -> jax.Array:
    """Interpolates a bilateral grid trilinearly at each pixel's position and guide value.

    `out[y, x] = sum_ijk tent(p_y - i) tent(p_x - j) tent(p_z - k) grid[i, j, k]` with positions
    `p_y = (y + 0.5) gh / h - 0.5`, `p_x` alike and `p_z = guide[y, x] gd - 0.5`, clamped to the
    cells.

    Args:
      grid: `[*b, gh, gw, gd, *features]`, any number of feature axes.
      guide: `[*b, h, w]` in [0, 1]; outside it clamps; a NaN makes that pixel NaN and no other, and
        adds nothing to the gradient of the grid. Its leading axes broadcast against the grid's.
      feature_axes: how many trailing axes of the grid are features. None: the grid has as many
        leading axes as the guide has, and the rest are features, two at most: further axes before
        them are leading ones. So a stack `[n, gh, gw, gd, n_out, n_in + 1]` broadcasts against one
        guide; say `feature_axes` for one grid and many guides, for a stack with fewer feature axes
        than two, and for three or more. A channels-first layout cannot be told by its shape: see
        `grid_from_channels_first`.
      window: `(top, left, full_height, full_width)`: the guide is that crop of a larger image,
        and every pixel gets what it would get in the whole. Four ints, or integers `[*b, 4]` for
        one crop per example (traced; their values are not checked).
      convention: `"half_pixel"`; or, for grids trained with cells on the image's corners,
        `"align_corners"` (on the centres of its corner pixels) or `"corner_nodes"` (on their outer
        corners).
      boundary: `"clamp"` or `"wrap"`, one for all axes or one for each of (gh, gw, gd).
      implementation: None to choose by platform, or a name of `ops/dispatch.py`.

    Returns:
      `[*b, h, w, *features]` in the dtype of the grid, summed in float32 (float64 if an input is).

    Raises:
      TypeError: if grid or guide are not floating point.
      ValueError: for too few axes, leading axes that do not broadcast, a window that does not hold
        the crop, an unknown convention, boundary or implementation.

    Convention:
      Half-pixel centres on all three axes; the exact tent, whose weights sum to 1 (the original
      smooths the depth tent by 1e-8 and loses up to 1e-4 at a cell centre). At a cell centre the
      derivative in the guide is the one to the right.

    Reference:
      Chen, Paris, Durand 2007, section 3.1; Gharbi et al. 2017, section 3.3, equation 5.
    """
    grid = checks.floating("grid", grid, 3, "[*b, gh, gw, gd, *features]")
    guide = checks.floating("guide", guide, 2, "[*b, h, w]")
    lead = checks.leading_axes("grid", grid.shape, guide.shape[:-2], 3, feature_axes)
    batch = checks.broadcast(grid=grid.shape[:lead], guide=guide.shape[:-2])
    features = grid.shape[lead + 3 :]
    lattice, window = lattice_of(
        grid.shape[lead : lead + 3], guide.shape[-2:], window, convention, boundary
    )
    out = primitives.slice_apply(
        fold(grid.reshape(*grid.shape[: lead + 3], math.prod(features), 1), batch, 5),
        fold(guide, batch, 2),
        window=fold_window(window, batch),
        lattice=lattice,
        dtype=grid.dtype,
        implementation=dispatch.known(implementation),
    )
    return out.reshape(*batch, *guide.shape[-2:], *features)


def slice_apply(
    grid,
    guide,
    image,
    *,
    offset: bool | None = None,
    window: checks.Window = None,
    convention: lattice_lib.Convention = "half_pixel",
    boundary: Boundaries = "clamp",
    implementation: str | None = None,
) -> jax.Array:
    """Slices an affine grid and applies each pixel's matrix to it, never storing the matrices.

    `out_o = sum_i A_oi image_i + A_o,n_in` with `A = slice(grid, guide)` at that pixel:
    `apply(slice(grid, guide), image)` in one pass over the image.

    Args:
      grid: `[*b, gh, gw, gd, n_out, n_in + 1]`, offset last, or `[*b, gh, gw, gd, n_out, n_in]`
        without offset.
      guide: `[*b, h, w]` in [0, 1]; see `slice`.
      image: `[*b, h, w, n_in]`.
      offset: whether the matrices have an offset column. None: as their size says; a grid as wide
        as an image of 2 or 4 channels (whose last may be alpha) needs `offset=False`.
      window: see `slice`.
      convention: see `slice`.
      boundary: see `slice`.
      implementation: see `slice`.

    Returns:
      `[*b, h, w, n_out]`, not clipped, in the promoted dtype of grid and image, summed in float32
      (float64 if an input is).

    Raises:
      TypeError: if grid, guide or image are not floating point (integer pixels must be scaled
        first).
      ValueError: for too few axes, sizes of guide and image that differ, a grid whose matrices do
        not fit the image, leading axes that do not broadcast, a window that does not hold the crop,
        an unknown option.

    Convention:
      As `slice`.

    Reference:
      Gharbi et al. 2017, section 3.4.2.
    """
    grid = checks.floating("grid", grid, 5, "[*b, gh, gw, gd, n_out, n_in + 1]")
    guide = checks.floating("guide", guide, 2, "[*b, h, w]")
    image = checks.floating("image", image, 3, "[*b, h, w, n_in]")
    checks.plane_guide(guide.shape, image.shape[-3:-1])
    checks.same_pixels("image", image.shape[-3:-1], guide.shape[-2:])
    fitting_matrices("grid", grid.shape, image.shape, offset)
    batch = checks.broadcast(grid=grid.shape[:-5], guide=guide.shape[:-2], image=image.shape[:-3])
    lattice, window = lattice_of(grid.shape[-5:-2], guide.shape[-2:], window, convention, boundary)
    out = primitives.slice_apply(
        fold(grid, batch, 5),
        fold(guide, batch, 2),
        fold(image, batch, 3),
        fold_window(window, batch),
        lattice=lattice,
        dtype=jnp.promote_types(grid.dtype, image.dtype),
        implementation=dispatch.known(implementation),
    )
    return out.reshape(*batch, *out.shape[1:])


def apply(coefficients, image, *, offset: bool | None = None) -> jax.Array:
    """Applies one affine matrix per pixel.

    `out_o = sum_i coefficients_oi image_i + coefficients_o,n_in`.

    Args:
      coefficients: `[*b, h, w, n_out, n_in + 1]`, offset last, or `[*b, h, w, n_out, n_in]` without
        offset; what `slice` gives from an affine grid.
      image: `[*b, h, w, n_in]`.
      offset: see `slice_apply`.

    Returns:
      `[*b, h, w, n_out]`, not clipped, in the promoted dtype, summed in float32 (float64 if an
      input is).

    Raises:
      TypeError: if an argument is not floating point.
      ValueError: for too few axes, matrices that do not fit the image, or sizes that differ.

    Reference:
      Gharbi et al. 2017, section 3.4.2.
    """
    coefficients = checks.floating("coefficients", coefficients, 4, "[*b, h, w, n_out, n_in + 1]")
    image = checks.floating("image", image, 3, "[*b, h, w, n_in]")
    checks.same_pixels("image", image.shape[-3:-1], coefficients.shape[-4:-2])
    fitting_matrices("coefficients", coefficients.shape, image.shape, offset)
    checks.broadcast(coefficients=coefficients.shape[:-4], image=image.shape[:-3])
    dtype = jnp.promote_types(coefficients.dtype, image.dtype)
    wide = jnp.promote_types(dtype, jnp.float32)
    channels = image.shape[-1]
    out = jnp.einsum(
        "...oi,...i->...o",
        coefficients[..., :channels].astype(wide),
        image.astype(wide),
        precision=jax.lax.Precision.HIGHEST,
    )
    if coefficients.shape[-1] > channels:
        out += coefficients[..., channels].astype(wide)
    return out.astype(dtype)


def splat(
    values,
    guide,
    grid_shape: tuple[int, int, int],
    *,
    weights=None,
    window: checks.Window = None,
    convention: lattice_lib.Convention = "half_pixel",
    boundary: Boundaries = "clamp",
    implementation: str | None = None,
) -> jax.Array:
    """Adds every pixel's values into the eight cells around it: the exact transpose of `slice`.

    `grid[i, j, k] = sum_yx tent(p_y - i) tent(p_x - j) tent(p_z - k) values[y, x]`, so that
    `<slice(grid, guide), values> = <grid, splat(values, guide)>` for every grid.

    Args:
      values: `[*b, h, w, *features]`, any number of feature axes, with as many leading axes as the
        guide.
      guide: `[*b, h, w]` in [0, 1]; outside it clamps; a pixel whose guide is NaN adds nothing.
      grid_shape: `(gh, gw, gd)`.
      weights: None, or `[*b, h, w]`. With weights the result is homogeneous: values are multiplied
        by them and the weights are splatted too.
      window: see `slice`.
      convention: see `slice`.
      boundary: see `slice`.
      implementation: see `slice`.

    Returns:
      The grid `[*b, gh, gw, gd, *features]` in the dtype of the values, summed in float32 (float64
      if an input is). With weights, the pair `(grid of weighted values, grid of weights [*b, gh,
      gw, gd])`: the first sliced over the second sliced is the weighted mean around each pixel.

    Raises:
      TypeError: if values, guide or weights are not floating point.
      ValueError: for too few axes, sizes that differ from the guide's, leading axes that do not
        broadcast, a bad grid shape, window or option.

    Convention:
      As `slice`.

    Reference:
      Paris, Durand 2006, section 4; Chen, Paris, Durand 2007, section 3.1.
    """
    guide = checks.floating("guide", guide, 2, "[*b, h, w]")
    values = checks.floating("values", values, guide.ndim, "[*b, h, w, *features]")
    shape = checks.grid_shape(grid_shape)
    lead = guide.ndim - 2
    if lead and values.shape[lead : lead + 2] != guide.shape[-2:]:
        checks.plane_guide(guide.shape, values.shape[lead - 1 : lead + 1])
    checks.same_pixels("values", values.shape[lead : lead + 2], guide.shape[-2:])
    features = values.shape[lead + 2 :]
    leading = {"values": values.shape[:lead], "guide": guide.shape[:-2]}
    flat = values.reshape(*values.shape[: lead + 2], math.prod(features))
    if weights is not None:
        weights = checks.floating("weights", weights, 2, "[*b, h, w]")
        checks.same_pixels("weights", weights.shape[-2:], guide.shape[-2:])
        leading["weights"] = weights.shape[:-2]
    batch = checks.broadcast(**leading)
    if weights is not None:
        flat = _weighted(flat, weights, batch)
    lattice, window = lattice_of(shape, guide.shape[-2:], window, convention, boundary)
    out = primitives.splat_apply(
        fold(flat, batch, 3),
        fold(guide, batch, 2),
        window=fold_window(window, batch),
        lattice=lattice,
        offset=True,
        dtype=flat.dtype,
        implementation=dispatch.known(implementation),
    )
    out = out.reshape(*batch, *shape, flat.shape[-1])
    if weights is None:
        return out.reshape(*batch, *shape, *features)
    return out[..., :-1].reshape(*batch, *shape, *features), out[..., -1]


def _weighted(values, weights, batch):
    """`[*b, h, w, c + 1]`: values times weights, then the weights; one splat carries both."""
    weights = jnp.broadcast_to(weights, (*batch, *weights.shape[-2:]))[..., None]
    values = jnp.broadcast_to(values, (*batch, *values.shape[-3:]))
    # A hole (weight 0) may hold anything, also NaN.
    values = jnp.where((weights == 0) & ~jnp.isfinite(values), 0, values)
    return jnp.concatenate([values * weights, weights.astype(values.dtype)], axis=-1)


def fitting_matrices(name, shape, image_shape, offset=None):
    """Checks that the matrices `[n_out, n_in (+ 1)]` at the end of `shape` fit the image."""
    channels = image_shape[-1]
    if offset is None and shape[-1] == channels and channels in (2, 4):
        raise ValueError(
            f"{name} of shape {tuple(shape)} has no offset column for an image of {channels} "
            "channels; if its last channel is alpha, pass the image without it; if matrices "
            "without offset are meant, pass offset=False"
        )
    if offset is not None and shape[-1] != channels + bool(offset):
        raise ValueError(
            f"{name} must end in [n_out, {channels + bool(offset)}] for an image of {channels} "
            f"channels and offset={offset}, got {tuple(shape)}"
        )
    if shape[-1] not in (channels, channels + 1):
        raise ValueError(
            f"{name} must end in [n_out, {channels + 1}] (offset last) or [n_out, {channels}] "
            f"to fit an image of {channels} channels, got {tuple(shape)}"
        )


def lattice_of(grid_shape, size, window, convention, boundary):
    """The `Lattice` of a call, and its traced window or None."""
    boundaries = checks.boundary(boundary)
    origin, full_size, traced = checks.window(window, tuple(size))
    lattice = lattice_lib.Lattice(
        grid_shape=tuple(grid_shape),
        size=tuple(size),
        full_size=full_size,
        origin=origin,
        convention=checks.convention(convention, boundaries),
        boundary=boundaries,
    )
    return lattice, traced


def fold(array, batch, core: int):
    """Broadcasts the leading axes to `batch` and folds them into one; the last `core` axes stay."""
    own = array.shape[array.ndim - core :]
    return jnp.broadcast_to(array, (*batch, *own)).reshape(math.prod(batch), *own)


def fold_window(window, batch):
    """`fold` of a traced window `[*b, 4]`; None stays None."""
    if window is None:
        return None
    checks.broadcast(window=window.shape[:-1], batch=batch)
    if len(window.shape) - 1 > len(batch) or np.broadcast_shapes(window.shape[:-1], batch) != batch:
        raise ValueError(
            f"window must have leading axes that broadcast to {batch}, got shape {window.shape}"
        )
    return fold(window, batch, 1)

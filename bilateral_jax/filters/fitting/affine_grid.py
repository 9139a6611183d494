"""An affine grid fitted to an image and what an operator made of it (bilateral guided upsampling).

Least squares with second differences between the cells, solved by conjugate gradients; the gradient
is that of the exact solution and takes one more solve.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax import color
from bilateral_jax import lattice as lattice_lib
from bilateral_jax.filters import arguments
from bilateral_jax.filters.fitting import conjugate_gradients, normal_equations
from bilateral_jax.ops import bilateral, checks, grids


def fit_grid(
    image,
    target,
    *,
    guide=None,
    weights=None,
    shape: tuple[int, int, int] = (16, 16, 8),
    smoothness=3e-5,
    identity=1e-7,
    iterations: int = 200,
    tolerance: float = 1e-4,
    convention: lattice_lib.Convention = "half_pixel",
    boundary: bilateral.Boundaries = "clamp",
    return_residual: bool = False,
) -> jax.Array | tuple[jax.Array, jax.Array]:
    """Fits an affine grid to an image and a target by regularised least squares.

    The grid A minimises the sum of three means: over pixels, `w |slice_apply(A, guide, image) -
    target|^2` (divided by the mean of w); over cells, `smoothness` times the squared second
    differences of A along gh, gw and gd; over cells, `identity` times `|A - identity|^2`.

    So a costly operator can run at low resolution: fit a grid to its input and output there, and
    apply it to the full image with `slice_apply` and the same guide of that. Cells that no pixel
    touched at low resolution get matrices continued from the others.

    Args:
      image: `[*b, h, w, c]`.
      target: `[*b, h, w, c]`, of any range.
      guide: `[*b, h, w]` in [0, 1]; see `slice`. None: the luma (BT.709, `color.luminance`) of an
        image of 3 channels, the channel of an image of one. A pixel whose guide is NaN has weight
        0.
      weights: `[*b, h, w]`, >= 0, of each pixel's error; None: 1 each. Where they are 0, image and
        target may hold anything.
      shape: `(gh, gw, gd)`.
      smoothness: factor of the second differences, >= 0.
      identity: factor of the difference from the identity, > 0. It decides in cells far from all
        pixels only, where it is small.
      iterations: maximum of the conjugate gradients.
      tolerance: of the residual (the gradient of what is minimised), relative to that of the
        identity grid, at which they stop. An example that has not reached it after so many
        iterations comes out as it is then; `return_residual` tells.
      convention: see `slice`.
      boundary: see `slice`; along a ring the differences close, too.
      return_residual: return the residual beside the grid.

    Returns:
      The grid, `[*b, gh, gw, gd, c, c + 1]`, float32 (float64 if an argument is). Its gradient in
      image, target, guide, weights, smoothness and identity is that of the minimum, to the
      tolerance, whatever the iterations. With `return_residual` the pair (grid, relative residual
      `[*b]` as the iterations left it; it has no gradient).

    Raises:
      TypeError: an array is not floating point, or a factor is not a number.
      ValueError: sizes or channels that differ, an image of neither one nor three channels without
        a guide, a bad shape, weights, a smoothness or a tolerance that are negative, an identity
        that is not positive, one of them infinite or NaN (where they are not traced), iterations
        that are not an int of at least 1, an unknown convention or boundary.

    Reference:
      Chen, Adams, Wadhwa, Hasinoff 2016 (bilateral guided upsampling), section 3.
    """
    arguments.integer("iterations", iterations, least=1)
    _check_number("tolerance", tolerance)
    examples, factors, lattice = _checked(
        image, target, guide, weights, shape, smoothness, identity, convention, boundary
    )
    grid, residual = _solve(examples.arrays, factors, iterations, tolerance, lattice=lattice)
    grid = grid.reshape(*examples.batch, *grid.shape[1:])
    return (grid, residual.reshape(examples.batch)) if return_residual else grid


@functools.partial(jax.jit, static_argnames="lattice")
def _solve(examples, factors, iterations, tolerance, *, lattice):
    def solve(*example):
        equations = normal_equations.NormalEquations(*example, *factors, *lattice)
        right, precondition = equations.right()
        return conjugate_gradients.solve(
            equations.left,
            right,
            precondition=precondition,
            iterations=iterations,
            tolerance=tolerance,
        )

    # Each example stops at its own residual.
    difference, residual = jax.vmap(solve)(*examples)
    *shape, channels, _ = difference.shape
    return difference + grids.identity_grid(
        shape, channels=channels, dtype=difference.dtype
    ), residual


class _Examples(NamedTuple):
    """Arrays of a fit with their leading axes folded into one.

    Attributes:
      arrays: image, target, guide, weights.
      batch: shape of the leading axes.
    """

    arrays: tuple[jax.Array, ...]
    batch: tuple[int, ...]


class _Lattice(NamedTuple):
    """The last fields of `NormalEquations`, static."""

    shape: tuple[int, int, int]
    convention: lattice_lib.Convention
    boundary: tuple[lattice_lib.Boundary, ...]


def _checked(
    image, target, guide, weights, shape, smoothness, identity, convention, boundary
) -> tuple[_Examples, tuple[jax.Array, jax.Array], _Lattice]:
    """Checks the arguments; returns the examples, (smoothness, identity) and the lattice."""
    examples = _checked_examples(image, target, guide, weights)
    _check_number("smoothness", smoothness)
    _check_number("identity", identity, positive=True)
    boundaries = checks.boundary(boundary)
    lattice = _Lattice(
        checks.grid_shape(shape, name="shape"),
        checks.convention(convention, boundaries),
        boundaries,
    )
    dtype = examples.arrays[0].dtype
    return examples, (jnp.asarray(smoothness, dtype), jnp.asarray(identity, dtype)), lattice


def _check_number(name, value, *, positive=False):
    """Refuses what is no finite number of at least (or above) 0; of a traced one only its shape."""
    if np.ndim(value) > 0:
        raise ValueError(f"{name} must be one number, got shape {np.shape(value)}")
    if isinstance(value, jax.core.Tracer):
        return
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {value!r}") from None
    if not math.isfinite(number) or number < 0 or (positive and number == 0):
        bound = "above 0" if positive else "at least 0"
        raise ValueError(f"{name} must be {bound} and finite, got {value!r}")


def _check_weights(weights):
    """Refuses weights below 0, infinite or NaN, unless they are traced."""
    if isinstance(weights, jax.core.Tracer):
        return
    wrong = np.argwhere(~(np.isfinite(weights) & (np.asarray(weights) >= 0)))
    if len(wrong):
        place = tuple(int(index) for index in wrong[0])
        raise ValueError(
            f"weights must be at least 0 and finite, got {np.asarray(weights)[place]} at {place} "
            f"(and {len(wrong) - 1} others)"
        )


def _checked_examples(image, target, guide, weights) -> _Examples:
    image = checks.floating("image", image, 3, "[*b, h, w, c]")
    target = checks.floating("target", target, 3, "[*b, h, w, c]")
    if image.shape[-3:] != target.shape[-3:]:
        raise ValueError(
            "target must have the height, width and channels of the image, "
            f"{image.shape[-3:]}, got {target.shape[-3:]}"
        )
    guide = checks.floating("guide", _guide_of(image, guide), 2, "[*b, h, w]")
    checks.plane_guide(guide.shape, image.shape[-3:-1])
    checks.same_pixels("image", image.shape[-3:-1], guide.shape[-2:])
    if weights is None:
        weights = jnp.ones(guide.shape[-2:], guide.dtype)
    else:
        weights = checks.floating("weights", weights, 2, "[*b, h, w]")
        checks.same_pixels("weights", weights.shape[-2:], guide.shape[-2:])
        _check_weights(weights)
    given = {"image": image, "target": target, "guide": guide, "weights": weights}
    cores = {"image": 3, "target": 3, "guide": 2, "weights": 2}
    batch = checks.broadcast(**{name: a.shape[: -cores[name]] for name, a in given.items()})
    dtype = jnp.result_type(jnp.float32, *given.values())
    image, target, guide, weights = (
        bilateral.fold(array, batch, cores[name]).astype(dtype) for name, array in given.items()
    )
    lost = jnp.isnan(guide)
    guide, weights = jnp.where(lost, 0, guide), jnp.where(lost, 0, weights)
    image, target = (
        # A hole (weight 0) may hold anything, also NaN.
        jnp.where((weights == 0)[..., None] & ~jnp.isfinite(array), 0, array)
        for array in (image, target)
    )
    return _Examples((image, target, guide, weights), batch)


def _guide_of(image, guide):
    if guide is not None:
        return guide
    if image.shape[-1] == 3:
        return color.luminance(image)
    if image.shape[-1] == 1:
        return image[..., 0]
    raise ValueError(
        f"an image of {image.shape[-1]} channels needs a guide [*b, h, w]; without one it is the "
        "luma of 3 channels, or the only channel"
    )

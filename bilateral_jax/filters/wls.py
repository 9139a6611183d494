"""Edge-preserving smoothing by weighted least squares (WLS).

The sparse linear system is solved by conjugate gradients, so memory is a few planes; the gradient
is that of the exact solution and takes one more solve.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import jax.scipy.sparse.linalg

from bilateral_jax.filters import arguments
from bilateral_jax.ops import checks


def smooth(
    plane,
    guide,
    *,
    smoothness,
    reliability=None,
    alpha=2.0,
    epsilon=1e-5,
    iterations: int = 500,
    tolerance: float = 1e-4,
) -> jax.Array:
    """Edge-preserving smoothing of a plane by weighted least squares.

    The result u minimises `sum r (u - plane)^2 + sum a_x u_x^2 + sum a_y u_y^2`. There `u_x` and
    `u_y` are differences of neighbours, `a = smoothness / (|guide_x|^alpha + epsilon)` with the
    Euclidean norm over the guide's channels, and r is the reliability.

    Args:
      plane: float `[*b, h, w]`.
      guide: float `[*b, h, w, c]`; its edges are where u may jump.
      smoothness: weight of the second and third sum, >= 0.
      reliability: float `[*b, h, w]`, >= 0, weight of each value; None: 1 each.
      alpha: exponent of the guide's differences.
      epsilon: keeps flat regions finite, > 0.
      iterations: maximum of the conjugate gradients.
      tolerance: of the residual, relative to that of u = 0, at which they stop.

    Returns:
      `[*b, h, w]`, dtype of the plane; NaN for an image with any value that is not finite, since
      every value depends on all others.

    Raises:
      TypeError: an argument is not floating point.
      ValueError: sizes that differ, or iterations that are not an int of at least 1.

    Reference: Farbman, Fattal, Lischinski, Szeliski 2008, section 3 (with a logarithm of the guide,
      which is the caller's here); Berman, Treibitz, Avidan 2016, section 3.4 (with the
      reliability).
    """
    plane = checks.floating("plane", plane, 2, "[*b, h, w]")
    guide = checks.floating("guide", guide, 3, "[*b, h, w, c]")
    if reliability is None:
        reliability = jnp.ones_like(plane)
    reliability = checks.floating("reliability", reliability, 2, "[*b, h, w]")
    for name, array in (("plane", plane), ("reliability", reliability)):
        checks.same_pixels(name, array.shape[-2:], guide.shape[-3:-1])
    batch = checks.broadcast(
        plane=plane.shape[:-2], guide=guide.shape[:-3], reliability=reliability.shape[:-2]
    )
    arguments.integer("iterations", iterations, least=1)
    size = plane.shape[-2:]
    flat = jnp.broadcast_to(plane, (*batch, *size)).reshape(-1, *size).astype(jnp.float32)
    weight = jnp.broadcast_to(reliability, (*batch, *size)).reshape(-1, *size).astype(jnp.float32)
    guide = jnp.broadcast_to(guide, (*batch, *guide.shape[-3:])).reshape(-1, *guide.shape[-3:])
    solve = functools.partial(_solve, iterations=iterations, tolerance=tolerance)
    couplings = [_couplings(guide, axis, smoothness, alpha, epsilon) for axis in (-3, -2)]
    # Each image stops at its own residual.
    return jax.vmap(solve)(flat, weight, *couplings).reshape(*batch, *size).astype(plane.dtype)


def _couplings(guide, axis, smoothness, alpha, epsilon):
    difference = jnp.diff(guide.astype(jnp.float32), axis=axis)
    square = jnp.sum(jnp.square(difference), -1)
    # A power of the norm has no derivative at 0; the square has one.
    power = square if alpha == 2.0 else jnp.maximum(square, 1e-12) ** (alpha / 2)
    return smoothness / (power + epsilon)


def _solve(plane, reliability, down, right, *, iterations, tolerance):
    def apply(u):
        vertical, horizontal = down * jnp.diff(u, axis=0), right * jnp.diff(u, axis=1)
        return reliability * u - _divergence(vertical, 0) - _divergence(horizontal, 1)

    diagonal = reliability + _sum_of_both(down, 0) + _sum_of_both(right, 1)
    scale = 1.0 / jnp.maximum(diagonal, 1e-12)
    result, _ = jax.scipy.sparse.linalg.cg(
        apply,
        reliability * plane,
        x0=jax.lax.stop_gradient(plane),
        tol=tolerance,
        maxiter=iterations,
        M=lambda residual: scale * residual,
    )
    # NaN would end the steps at the plane, as if that were the solution.
    finite = jnp.isfinite(jnp.sum(diagonal) + jnp.sum(reliability * plane))
    return jnp.where(finite, result, jnp.nan)


def _divergence(flow, axis):
    """Minus the transpose of `diff`."""
    return jnp.diff(_padded(flow, axis), axis=axis)


def _sum_of_both(coupling, axis):
    """Sum of the couplings to both neighbours along an axis."""
    padded = _padded(coupling, axis)
    first, second = ((slice(None, -1), slice(None)), (slice(1, None), slice(None)))
    if axis == 1:
        first, second = first[::-1], second[::-1]
    return padded[first] + padded[second]


def _padded(flow, axis):
    return jnp.pad(flow, [(1, 1) if i == axis else (0, 0) for i in range(2)])

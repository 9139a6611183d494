"""Smoothing by weighted least squares: near to given values, and smooth where a guide is smooth.

The linear system (one equation per pixel, its neighbours coupled) is solved by conjugate gradients,
so memory is a few planes; the gradient is that of the exact solution, one more solve.

Receives planes, reliabilities and guides from `filters/haze_lines.py` and users.
Hands smoothed planes back.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import jax.scipy.sparse.linalg

from bilateral_jax.filters import windows
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
):
    """Finds the plane u that minimises `sum r (u - plane)^2 + sum a_x u_x^2 + sum a_y u_y^2`.

    `u_x`, `u_y` are differences of neighbours, `a = smoothness / (|guide_x|^alpha + epsilon)` with
    the length over the guide's channels, r the reliability.

    Args:
      plane: float `[*b, h, w]`.
      guide: float `[*b, h, w, c]`; its edges are where u may jump.
      smoothness: weight of the second and third sum, >= 0.
      reliability: float `[*b, h, w]`, >= 0, how much each given value counts; None: 1 each.
      alpha: exponent of the guide's differences.
      epsilon: keeps flat regions finite, > 0.
      iterations: of the conjugate gradients, at most.
      tolerance: of the residual, relative to that of zero, at which they stop.

    Returns:
      `[*b, h, w]`, dtype of the plane.

    Raises:
      TypeError: an argument is not floating point.
      ValueError: sizes that differ, or iterations that are no int of at least 1.

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
    windows.whole("iterations", iterations, least=1)
    size = plane.shape[-2:]
    given = jnp.broadcast_to(plane, (*batch, *size)).reshape(-1, *size).astype(jnp.float32)
    trust = jnp.broadcast_to(reliability, (*batch, *size)).reshape(-1, *size).astype(jnp.float32)
    steer = jnp.broadcast_to(guide, (*batch, *guide.shape[-3:])).reshape(-1, *guide.shape[-3:])
    solve = functools.partial(_solve, iterations=iterations, tolerance=tolerance)
    couplings = [_couplings(steer, axis, smoothness, alpha, epsilon) for axis in (-3, -2)]
    # One by one, so that every picture stops at its own residual.
    return jax.vmap(solve)(given, trust, *couplings).reshape(*batch, *size).astype(plane.dtype)


def _couplings(guide, axis, smoothness, alpha, epsilon):
    step = jnp.diff(guide.astype(jnp.float32), axis=axis)
    square = jnp.sum(jnp.square(step), -1)
    # The power of a root has no slope at 0, of the square it has.
    length = square if alpha == 2.0 else jnp.maximum(square, 1e-12) ** (alpha / 2)
    return smoothness / (length + epsilon)


def _solve(given, trust, down, right, *, iterations, tolerance):
    def apply(u):
        vertical, horizontal = down * jnp.diff(u, axis=0), right * jnp.diff(u, axis=1)
        pulled = trust * u - _apart(vertical, 0) - _apart(horizontal, 1)
        return pulled

    diagonal = trust + _around(down, 0) + _around(right, 1)
    scale = 1.0 / jnp.maximum(diagonal, 1e-12)
    result, _ = jax.scipy.sparse.linalg.cg(
        apply,
        trust * given,
        x0=jax.lax.stop_gradient(given),
        tol=tolerance,
        maxiter=iterations,
        M=lambda residual: scale * residual,
    )
    return result


def _apart(flow, axis):
    """What flows in from one side less what flows out of the other: minus the transpose of diff."""
    return jnp.diff(_padded(flow, axis), axis=axis)


def _around(coupling, axis):
    """The sum of the couplings to both sides."""
    padded = _padded(coupling, axis)
    first, second = ((slice(None, -1), slice(None)), (slice(1, None), slice(None)))
    if axis == 1:
        first, second = first[::-1], second[::-1]
    return padded[first] + padded[second]


def _padded(flow, axis):
    return jnp.pad(flow, [(1, 1) if i == axis else (0, 0) for i in range(2)])

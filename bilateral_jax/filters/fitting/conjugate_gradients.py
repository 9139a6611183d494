"""Conjugate gradients with a preconditioner, differentiable, with the residual they reached."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def solve(left, right, *, precondition, iterations, tolerance) -> tuple[jax.Array, jax.Array]:
    """Solves `left(x) = right` for a symmetric positive definite `left`.

    The derivative is that of the exact solution, by one more solve of the same kind.

    Args:
      left: linear function of an array.
      right: array.
      precondition: linear function, symmetric positive definite, close to the inverse of `left`.
      iterations: maximum.
      tolerance: the norm of the residual, relative to that of `right`, at which they stop.

    Returns:
      (x, that relative norm when they stopped); it has no derivative. Both are NaN where `right`
      is not finite.

    Reference: Hestenes, Stiefel 1952.
    """

    def run(left, right):
        return _iterate(left, right, precondition, iterations, tolerance)

    return jax.lax.custom_linear_solve(left, right, run, symmetric=True, has_aux=True)


def _iterate(left, right, precondition, iterations, tolerance):
    total = jnp.vdot(right, right)

    def unfinished(state):
        _, residual, _, _, count = state
        return (jnp.vdot(residual, residual) > jnp.square(tolerance) * total) & (count < iterations)

    def step(state):
        x, residual, direction, product, count = state
        image = left(direction)
        length = product / jnp.vdot(direction, image)
        x, residual = x + length * direction, residual - length * image
        towards = precondition(residual)
        after = jnp.vdot(residual, towards)
        return x, residual, towards + (after / product) * direction, after, count + 1

    first = precondition(right)
    state = jnp.zeros_like(right), right, first, jnp.vdot(right, first), 0
    x, residual, *_ = jax.lax.while_loop(unfinished, step, state)
    # NaN would end the steps at x = 0, as if that were the solution.
    x = jnp.where(jnp.isfinite(total), x, jnp.nan)
    # Without a right-hand side x is 0 and exact.
    relative = jnp.vdot(residual, residual) / jnp.where(total > 0, total, 1)
    return x, jax.lax.stop_gradient(jnp.sqrt(relative))

"""Regularizers of bilateral grids."""

import jax
import jax.numpy as jnp


def identity_distance(grid) -> jax.Array:
    """Mean squared difference between the matrices of an affine grid and the identity.

    Args:
      grid: float `[*b, gh, gw, gd, n_out, n_in]` or, with the offset last, `[*b, gh, gw, gd,
        n_out, n_in + 1]`.

    Returns:
      float32 `[*b]`.

    Raises:
      ValueError: the grid has fewer than five axes, or its matrices are neither square nor square
        plus an offset.
    """
    shape = jnp.shape(grid)
    if len(shape) < 5 or shape[-1] - shape[-2] not in (0, 1):
        raise ValueError(
            f"grid must be [*b, gh, gw, gd, n, n] or [*b, gh, gw, gd, n, n + 1], got {shape}"
        )
    identity = jnp.broadcast_to(jnp.eye(shape[-2], shape[-1], dtype=jnp.float32), shape)
    return jnp.mean(jnp.square(grid - identity), axis=(-5, -4, -3, -2, -1))

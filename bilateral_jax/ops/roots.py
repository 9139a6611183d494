"""Powers with finite gradients at 0."""

import jax.numpy as jnp


def power(base, exponent):
    """`base ** exponent` where the base is positive, else 0 with gradient 0.

    Args:
      base: float array.
      exponent: number.

    Returns:
      Shape and dtype of `base`.
    """
    positive = base > 0
    return jnp.where(positive, jnp.where(positive, base, 1.0) ** exponent, 0.0)


def sqrt(values):
    """Square root, with gradient 0 at 0 and below.

    Args:
      values: float array.

    Returns:
      Shape and dtype of `values`.
    """
    positive = values > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, values, 1.0)), 0.0)

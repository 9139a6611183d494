"""Rounding to the values that an 8-bit file holds."""

import jax.numpy as jnp


def round_to_8bit(image):
    """Values of an image as an 8-bit file keeps them: clipped and rounded to 1 / 255.

    Args:
      image: float `[...]`; values outside [0, 1] are clipped.

    Returns:
      float32 `[...]` holding multiples of 1 / 255. Its gradient is zero almost everywhere.
    """
    return jnp.round(jnp.clip(jnp.asarray(image, jnp.float32), 0.0, 1.0) * 255.0) / 255.0

"""Rounding to the values that an 8-bit file holds."""

import jax
import jax.numpy as jnp

from bilateral_jax.ops import ranges


def round_to_8bit(image) -> jax.Array:
    """Values of an image as an 8-bit file keeps them: clipped and rounded to 1 / 255.

    Args:
      image: float `[...]`; values outside [0, 1] are clipped.

    Returns:
      float32 `[...]` holding multiples of 1 / 255. Its gradient is zero almost everywhere.

    Raises:
      ValueError: values that cannot be in [0, 1], such as 8-bit ones.
    """
    ranges.check(1.0, image=image)
    return jnp.round(jnp.clip(jnp.asarray(image, jnp.float32), 0.0, 1.0) * 255.0) / 255.0

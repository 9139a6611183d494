"""Exposure, black clipping and vibrance of photos, each with one level, in JAX.

They stand in for the adjustments of the same names in a photo editor, with which NeurOp's authors
rendered the images that initialise its operators; the constants are ours.
"""

import jax.numpy as jnp

from bilateral_jax import color


def exposure(image, level):
    """Multiplies linear light by 2^level.

    Args:
      image: float `[b, h, w, 3]`, sRGB in [0, 1].
      level: `[b, 1, 1, 1]`, in stops.

    Returns:
      `[b, h, w, 3]` in [0, 1].
    """
    lit = jnp.clip(color.srgb_to_linear(image) * jnp.exp2(level), 0.0, 1.0)
    return color.linear_to_srgb(lit)


def black_clipping(image, level):
    """Moves black from 0.1 level to 0: a level above 0 clips shadows, one below lifts them.

    Args:
      image: float `[b, h, w, 3]`, sRGB in [0, 1].
      level: `[b, 1, 1, 1]`.

    Returns:
      `[b, h, w, 3]` in [0, 1].
    """
    black = 0.1 * level
    return jnp.clip((image - black) / (1.0 - black), 0.0, 1.0)


def vibrance(image, level):
    """Scales the distance from the pixel's luma by 1 + level (1 - saturation) / 2.

    Args:
      image: float `[b, h, w, 3]`, sRGB in [0, 1]; its saturation is the largest value minus the
        smallest.
      level: `[b, 1, 1, 1]`.

    Returns:
      `[b, h, w, 3]` in [0, 1].
    """
    saturation = image.max(-1, keepdims=True) - image.min(-1, keepdims=True)
    factor = 1.0 + 0.5 * level * (1.0 - saturation)
    return jnp.clip(color.scale_saturation(image, factor), 0.0, 1.0)


# By the names of NeurOp's operators.
ADJUSTMENTS = {"bc": black_clipping, "ex": exposure, "vb": vibrance}

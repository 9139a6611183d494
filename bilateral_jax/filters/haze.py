"""The haze model: `hazy = transmission * clear + (1 - transmission) * air light`.

The transmission is one number per pixel and falls with distance; the air light, scattered by the
air, is one colour per photo. The model holds for linear light; both ways of estimating its
parameters (`dark_channel.py`, `haze_lines.py`) were published, and are mostly used, on
display-referred values.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from bilateral_jax.filters import arguments
from bilateral_jax.ops import checks


def add(image, *, transmission, air_light) -> jax.Array:
    """Adds haze to a photo: `transmission * image + (1 - transmission) * air_light`.

    Args:
      image: float `[*b, h, w, 3]`.
      transmission: `[*b, h, w]` in [0, 1]: fraction of the light that is transmitted.
      air_light: `[*b, 3]`: colour at infinite distance.

    Returns:
      `[*b, h, w, 3]`, dtype of the image.

    Raises:
      TypeError: an argument is not floating point.
      ValueError: sizes that differ, or leading axes that do not broadcast.
    """
    image, transmission, air_light = _checked(image, transmission, air_light)
    return (air_light + (image - air_light) * transmission).astype(image.dtype)


def remove(image, *, transmission, air_light, floor: float = 0.1, kept: float = 0.0) -> jax.Array:
    """Removes haze from a photo: the inverse of `add`, with two safeguards against noise.

    `air_light + (image - air_light) / max(transmission, floor)`, and `kept air_light` on top, which
    is `(image - (1 - (1 + kept) transmission) air_light) / transmission` above the floor.

    Args:
      image: float `[*b, h, w, 3]`.
      transmission: `[*b, h, w]` in [0, 1].
      air_light: `[*b, 3]`.
      floor: lower bound of the transmission that is divided by; denser haze is not fully removed.
      kept: fraction of the air light that is added everywhere (0.06 in Berman et al.).

    Returns:
      `[*b, h, w, 3]`, dtype of the image; not clipped.

    Raises:
      TypeError: an argument is not floating point.
      ValueError: sizes that differ, or leading axes that do not broadcast.
    """
    dtype = jnp.asarray(image).dtype
    image, transmission, air_light = _checked(image, transmission, air_light)
    clear = air_light + (image - air_light) / jnp.maximum(transmission, floor)
    return (clear + kept * air_light).astype(dtype)


def _checked(image, transmission, air_light):
    image = arguments.rgb_image(image)
    transmission = checks.floating("transmission", transmission, 2, "[*b, h, w]")
    air_light = arguments.rgb_color("air_light", air_light)
    checks.same_pixels("transmission", transmission.shape[-2:], image.shape[-3:-1])
    checks.broadcast(
        image=image.shape[:-3], transmission=transmission.shape[:-2], air_light=air_light.shape[:-1]
    )
    return image, transmission[..., None], air_light[..., None, None, :]

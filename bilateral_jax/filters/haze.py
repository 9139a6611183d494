"""Haze as a mixture: `hazy = transmission * clear + (1 - transmission) * air light`.

The further away a thing is, the less of its light comes through, and the more of what the air
scatters. The transmission is one number per pixel, the air light one colour per photo. The mixture
is that of linear light; both ways of estimating it (`dark_channel.py`, `haze_lines.py`) were
published, and are mostly used, on display-referred values as they are.

Receives photos, transmissions and air lights from `filters/dark_channel.py`,
`filters/haze_lines.py` and users.
Hands hazy or clear photos back.
"""

from __future__ import annotations

import jax.numpy as jnp

from bilateral_jax.ops import checks


def add(image, *, transmission, air_light):
    """Puts haze over a photo: `transmission * image + (1 - transmission) * air_light`.

    Args:
      image: float `[*b, h, w, 3]`.
      transmission: `[*b, h, w]` in [0, 1]: share of the light that comes through.
      air_light: `[*b, 3]`: colour at infinite distance.

    Returns:
      `[*b, h, w, 3]`, dtype of the image.

    Raises:
      TypeError: an argument is not floating point.
      ValueError: sizes that differ, or leading axes that do not broadcast.
    """
    image, transmission, air_light = _checked(image, transmission, air_light)
    return (air_light + (image - air_light) * transmission).astype(image.dtype)


def remove(image, *, transmission, air_light, floor: float = 0.1, kept: float = 0.0):
    """Takes haze off a photo: the inverse of `add`, with two guards against noise.

    `air_light + (image - air_light) / max(transmission, floor)`, and `kept air_light` on top, which
    is `(image - (1 - (1 + kept) transmission) air_light) / transmission` above the floor.

    Args:
      image: float `[*b, h, w, 3]`.
      transmission: `[*b, h, w]` in [0, 1].
      air_light: `[*b, 3]`.
      floor: least transmission to divide by; what is behind thicker haze keeps some of it.
      kept: share of the air light that is given back everywhere (0.06 in Berman et al.).

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
    image = photo(image)
    transmission = checks.floating("transmission", transmission, 2, "[*b, h, w]")
    air_light = color("air_light", air_light)
    checks.same_pixels("transmission", transmission.shape[-2:], image.shape[-3:-1])
    checks.broadcast(
        image=image.shape[:-3], transmission=transmission.shape[:-2], air_light=air_light.shape[:-1]
    )
    return image, transmission[..., None], air_light[..., None, None, :]


def photo(image):
    """Checks that something is a colour photo.

    Args:
      image: float `[*b, h, w, 3]`.

    Returns:
      It as a JAX array.

    Raises:
      TypeError: it is not floating point.
      ValueError: it is not `[*b, h, w, 3]`.
    """
    image = checks.floating("image", image, 3, "[*b, h, w, 3]")
    if image.shape[-1] != 3:
        raise ValueError(f"image must end in 3 colour channels, got shape {image.shape}")
    return image


def color(name: str, value):
    """Checks that something is a colour.

    Args:
      name: of the argument, for messages.
      value: float `[*b, 3]`.

    Returns:
      It as a JAX array.

    Raises:
      TypeError: it is not floating point.
      ValueError: it is not `[*b, 3]`.
    """
    value = checks.floating(name, value, 1, "[*b, 3]")
    if value.shape[-1] != 3:
        raise ValueError(f"{name} must be [*b, 3], got shape {value.shape}")
    return value

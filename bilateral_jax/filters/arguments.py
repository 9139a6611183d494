"""Checks of the arguments of filters."""

from __future__ import annotations

import jax

from bilateral_jax.ops import checks


def rgb_image(image) -> jax.Array:
    """Checks an image with three colour channels.

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


def rgb_color(name: str, value) -> jax.Array:
    """Checks one colour per image.

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


def integer(name: str, value, *, least: int = 0) -> int:
    """Checks a radius or a count.

    Args:
      name: of the argument, for the message.
      value: the argument.
      least: smallest accepted value.

    Returns:
      The value.

    Raises:
      ValueError: it is not an int, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an int of at least {least}, got {value!r}")
    return value

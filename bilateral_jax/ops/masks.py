"""Means over the valid pixels of padded images.

`valid` is `[*b, h, w]`: nonzero where a pixel counts, 0 where it is padding; None counts all.
"""

import jax.numpy as jnp
from jax import lax


def check(valid, image_shape):
    """Checks a mask and converts it to booleans.

    Args:
      valid: bool or number `[*b, h, w]`, or None.
      image_shape: `(*b, h, w, c)`.

    Returns:
      bool `[*b, h, w]`, or None.

    Raises:
      ValueError: `valid` has another shape.
    """
    if valid is None:
        return None
    if jnp.shape(valid) != tuple(image_shape[:-1]):
        raise ValueError(
            f"valid must be [*b, h, w] = {tuple(image_shape[:-1])}, got shape {jnp.shape(valid)}"
        )
    return jnp.asarray(valid) != 0


def refuse(valid, name, reason):
    """Refuses a mask where padding cannot be left out.

    Args:
      valid: mask or None.
      name: of the function, for the message.
      reason: why it cannot.

    Raises:
      ValueError: `valid` is not None.
    """
    if valid is not None:
        raise ValueError(
            f"{name} does not support valid, since {reason}: crop the images to their valid part "
            "and pass valid=None"
        )


def zero(values, valid):
    """Sets padding to 0; no gradient reaches it, not even a NaN.

    Args:
      values: float `[*b, h, w, c]`.
      valid: bool `[*b, h, w]`, or None.

    Returns:
      `[*b, h, w, c]`.
    """
    return values if valid is None else jnp.where(valid[..., None], values, 0)


def windows(valid, height: int, width: int):
    """Marks the windows that hold valid pixels only.

    Args:
      valid: bool `[*b, h, w]`, or None.
      height: rows of the window, at most h.
      width: columns of the window, at most w.

    Returns:
      bool `[*b, h - height + 1, w - width + 1]`, or None.
    """
    if valid is None:
        return None
    size = (1,) * (valid.ndim - 2) + (height, width)
    return lax.reduce_window(valid, True, lax.bitwise_and, size, (1,) * valid.ndim, "VALID")


def neighbours(valid):
    """Marks pixels that are valid together with their right and lower neighbours.

    Args:
      valid: bool `[*b, h, w]`, or None.

    Returns:
      bool `[*b, h - 1, w - 1]`, or None.
    """
    if valid is None:
        return None
    return windows(valid, 2, 1)[..., :-1] & windows(valid, 1, 2)[..., :-1, :]


def valid_fraction(valid):
    """Fraction of valid positions; a mean of `zero` values over all positions is divided by it.

    Args:
      valid: bool `[*b, h, w]`.

    Returns:
      float32 `[*b]` in (0, 1]; where nothing is valid that of a single position.
    """
    count = jnp.maximum(valid.sum((-2, -1)), 1)
    return count.astype(jnp.float32) / (valid.shape[-2] * valid.shape[-1])


def mean(values, valid):
    """Mean over valid positions and all channels, one per example.

    Args:
      values: float `[*b, h, w, c]`.
      valid: bool `[*b, h, w]`, or None.

    Returns:
      `[*b]`, dtype of the values; 0 where nothing is valid.
    """
    means = jnp.mean(zero(values, valid), axis=(-3, -2, -1))
    return means if valid is None else means / valid_fraction(valid).astype(means.dtype)

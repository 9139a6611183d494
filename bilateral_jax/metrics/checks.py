"""Checks of the arguments of the image metrics."""

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax.ops import masks, ranges


def image_pair(
    prediction, target, *, channels=None, data_range=1.0, valid=None
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Checks the arguments of a metric.

    Args:
      prediction: the first argument of the metric.
      target: the second.
      channels: the size that the last axis must have, or None.
      data_range: the value of white.
      valid: mask of the pixels that count, or None.

    Returns:
      Both as float32, divided by the range, 0 at padding; `valid` as bool `[*b, h, w]` or None.

    Raises:
      ValueError: the shapes differ, have fewer than three axes, no pixels, or other channels, or
        values cannot be in the range.
      TypeError: an argument holds integers.
    """
    shape = _check_pair(prediction, target, channels)
    valid = masks.check(valid, shape)
    if valid is None:
        ranges.check(data_range, prediction=prediction, target=target)
    images = [masks.zero(jnp.asarray(x, jnp.float32), valid) for x in (prediction, target)]
    if valid is not None:
        ranges.check(data_range, prediction=images[0], target=images[1])
    if not isinstance(data_range, int | float) or data_range != 1:
        images = [x / data_range for x in images]
    return *images, valid


def _check_pair(prediction, target, channels):
    """Checks dtypes and shapes; returns the shape."""
    for name, array in (("prediction", prediction), ("target", target)):
        dtype = jnp.result_type(array)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(
                f"{name} has dtype {dtype}; expected floats (divide 8-bit pixels by 255)"
            )
    shape = jnp.shape(prediction)
    if shape != jnp.shape(target):
        raise ValueError(
            f"prediction and target must have the same shape, got {shape} and {jnp.shape(target)}"
        )
    if len(shape) < 3 or 0 in shape[-3:]:
        raise ValueError(f"prediction must be [*b, h, w, c] with pixels, got shape {shape}")
    if channels is not None and shape[-1] != channels:
        raise ValueError(
            f"prediction must hold {channels} sRGB channels in the last axis, got shape {shape}"
        )
    return shape


def host_pair(
    prediction, target, *, channels=None, data_range=1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Checks the arguments of a metric of one image, computed by tiles.

    Args:
      prediction: the first argument of the metric.
      target: the second.
      channels: the size that the last axis must have, or None.
      data_range: the value of white.

    Returns:
      Both as float32 NumPy arrays `[h, w, c]`, divided by the range.

    Raises:
      ValueError: as `image_pair`, or there is more than one image.
      TypeError: an argument holds integers.
    """
    if np.ndim(prediction) != 3:
        raise ValueError(
            f"prediction must be one image [h, w, c], got shape {np.shape(prediction)}"
        )
    _check_pair(prediction, target, channels)
    pair = [np.asarray(image, np.float32) for image in (prediction, target)]
    ranges.check(data_range, prediction=pair[0], target=pair[1])
    return tuple(pair if data_range == 1 else (image / np.float32(data_range) for image in pair))

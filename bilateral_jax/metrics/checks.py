"""What all metrics share: checks, rounding, means over positions; and PSNR, the plainest of them.

Receives prediction and target [*b, h, w, c] from the metrics beside it.
Hands checked float32 pictures and means over positions back to them.
"""

import math

import jax
import jax.numpy as jnp

_BLOCK_PIXELS = 1 << 18  # of working memory, in pictures larger than that


def round_to_8bit(image):
    """Gives what an 8-bit file keeps of a picture: values clipped and rounded to 1 / 255.

    Args:
      image: float `[...]`; values outside [0, 1] are clipped.

    Returns:
      float32 `[...]` holding multiples of 1 / 255. Its gradient is zero almost everywhere.
    """
    return jnp.round(jnp.clip(jnp.asarray(image, jnp.float32), 0.0, 1.0) * 255.0) / 255.0


def psnr(prediction, target):
    """Measures the peak signal-to-noise ratio in dB: `-10 log10(mean squared error)`, peak value 1.

    Protocol: the error is averaged over pixels and channels of one picture; nothing is clipped or
    rounded here. DPED's code averages the error over a whole batch of 50 patches before the
    logarithm, which gives less: to compare with its log, pass the batch as one picture
    (`[b, h, w, c]` reshaped to `[b * h, w, c]`).

    Args:
      prediction: float `[*b, h, w, c]`, values nominally in [0, 1].
      target: float `[*b, h, w, c]`.

    Returns:
      float32 `[*b]`; infinite where the two pictures are equal.

    Raises:
      ValueError: the shapes differ or have fewer than three axes.
      TypeError: an argument holds integers.
    """
    prediction, target = checked(prediction, target)
    error = jnp.square(prediction - target)
    # Axis by axis: one float32 sum over megapixels would lose the last digits.
    return -10.0 * jnp.log10(error.mean(axis=-2).mean(axis=-2).mean(axis=-1))


def checked(prediction, target, *, channels=None):
    """Checks what every metric demands of its arguments.

    Args:
      prediction: the first argument of the metric.
      target: the second.
      channels: the size that the last axis must have, or None.

    Returns:
      Both as float32.

    Raises:
      ValueError: the shapes differ, have fewer than three axes, no pixels, or other channels.
      TypeError: an argument holds integers.
    """
    for name, array in (("prediction", prediction), ("target", target)):
        dtype = jnp.result_type(array)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(
                f"{name} has dtype {dtype}; expected floats in [0, 1] (divide 8-bit pixels by 255)"
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
    return jnp.asarray(prediction, jnp.float32), jnp.asarray(target, jnp.float32)


def mean_over_positions(function, prediction, target, *, size=1):
    """Averages a local quantity over the positions of its window, with memory for few rows.

    Args:
      function: `(prediction, target) -> pytree of [*b, rows - size + 1, columns, k]` for pictures
        of any number of rows.
      prediction: float `[*b, h, w, c]`.
      target: float `[*b, h, w, c]`.
      size: rows that the window spans, at most h.

    Returns:
      The pytree of means `[*b, k]`.
    """
    rows, axis = prediction.shape[-3] - size + 1, prediction.ndim - 3
    block = max(1, _BLOCK_PIXELS // max(1, math.prod(prediction.shape[:-3]) * prediction.shape[-2]))

    def sums(first):
        # The last block begins earlier to be a full one, and counts only rows not counted before.
        start = jnp.minimum(first, rows - block)
        parts = (
            jax.lax.dynamic_slice_in_dim(x, start, block + size - 1, axis)
            for x in (prediction, target)
        )
        fresh = start + jnp.arange(block) >= first
        return jax.tree.map(lambda value: _sum_rows(value, fresh), function(*parts))

    if block >= rows:
        means = jax.tree.map(lambda v: v.mean(axis=-2), function(prediction, target))
        return jax.tree.map(lambda v: v.mean(axis=-2), means)
    totals = jax.lax.map(sums, jnp.arange(0, rows, block))
    return jax.tree.map(lambda total: total.sum(axis=0) / rows, totals)


def _sum_rows(value, counted):
    """Averages over columns and adds up those rows that count: `[*b, r, w, k]` to `[*b, k]`."""
    value = value.mean(axis=-2)
    counted = counted.reshape((1,) * (value.ndim - 2) + (-1, 1))
    return jnp.where(counted, value, 0.0).sum(axis=-2)

"""Peak signal-to-noise ratio."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax.metrics import checks
from bilateral_jax.ops import masks


def psnr(prediction, target, *, data_range=1.0, valid=None) -> jax.Array:
    """Peak signal-to-noise ratio in dB, `10 log10(data_range^2 / mean squared error)`.

    Protocol: the error is averaged over pixels and channels of one image; nothing is clipped or
    rounded here. DPED's code averages the error over a whole batch of 50 patches before the
    logarithm, which gives less: to compare with its log, pass the batch as one image
    (`[b, h, w, c]` reshaped to `[b * h, w, c]`).

    Args:
      prediction: float `[*b, h, w, c]`, values nominally in [0, data_range].
      target: float `[*b, h, w, c]`.
      data_range: the value of white in both images: 255 for 8-bit values as floats.
      valid: `[*b, h, w]`, 0 where a pixel is padding and does not count; None counts all.

    Returns:
      float32 `[*b]`; infinite where the two images are equal, 0 without valid pixels.

    Raises:
      ValueError: the shapes differ or have fewer than three axes, or values cannot be in the range.
      TypeError: an argument holds integers.
    """
    prediction, target, valid = checks.image_pair(
        prediction, target, data_range=data_range, valid=valid
    )
    error = jnp.square(prediction - target)
    # Axis by axis: one float32 sum over megapixels would lose the last digits.
    error = error.mean(axis=-2).mean(axis=-2).mean(axis=-1)
    if valid is not None:
        error = jnp.where(valid.any((-2, -1)), error / masks.valid_fraction(valid), 1.0)
    return -10.0 * jnp.log10(error)


def psnr_by_tiles(prediction, target, *, data_range=1.0) -> float:
    """`psnr` of one image, without a program for its size.

    Args:
      prediction: float `[h, w, c]`, values nominally in [0, data_range].
      target: float `[h, w, c]`.
      data_range: the value of white in both images.

    Returns:
      The value, infinite where the two images are equal; the errors are summed in float64.

    Raises:
      ValueError: the shapes differ or are not `[h, w, c]`, or values cannot be in the range.
      TypeError: an argument holds integers.
    """
    pair = checks.host_pair(prediction, target, data_range=data_range)
    rows = zip(*pair, strict=True)  # one row of float64 at a time
    total = sum(float(np.square(p.astype(np.float64) - t).sum()) for p, t in rows)
    return -10.0 * math.log10(total / pair[0].size) if total else math.inf


def psnr_from_mse(error, *, data_range=1.0) -> jax.Array:
    """PSNR in dB of a mean squared error, at most 100 dB.

    Args:
      error: float array, at least 0.
      data_range: the value of white in the images.

    Returns:
      Shape and dtype of `error`.
    """
    if not isinstance(data_range, int | float) or data_range != 1:
        error = error / data_range**2
    return -10.0 * jnp.log10(jnp.maximum(error, 1e-10))

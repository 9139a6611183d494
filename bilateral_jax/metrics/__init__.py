"""How close an enhanced picture is to its target: one number per picture.

Every function takes display-referred sRGB in [0, 1] as `[*b, h, w, c]` and returns `[*b]`;
averaging over a data set is the caller's business (`training/evaluation.py` weights, sums and
divides once). A published number is measured on 8-bit pictures: pass both sides through
`round_to_8bit` first. None of the functions is meant as a loss.

Receives prediction and target [*b, h, w, c] from experiments.
Hands values [*b] to training/evaluation.py.
"""

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax import color

_SSIM_SIZE, _SSIM_SIGMA = 11, 1.5
_SSIM_K1, _SSIM_K2 = 0.01, 0.03


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
    rounded here.

    Args:
      prediction: float `[*b, h, w, c]`, values nominally in [0, 1].
      target: float `[*b, h, w, c]`.

    Returns:
      float32 `[*b]`; infinite where the two pictures are equal.

    Raises:
      ValueError: the shapes differ or have fewer than three axes.
      TypeError: an argument holds integers.
    """
    prediction, target = _checked(prediction, target)
    return -10.0 * jnp.log10(jnp.mean(jnp.square(prediction - target), axis=(-3, -2, -1)))


def ssim(prediction, target):
    """Measures the structural similarity index, 1 for equal pictures.

    Protocol: 11 x 11 Gaussian window with sigma 1.5, biased (population) variances, K1 = 0.01, K2
    = 0.03, data range 1, only windows that lie wholly inside the picture, each channel on its own,
    mean over positions and channels.

    Args:
      prediction: float `[*b, h, w, c]`, values in [0, 1].
      target: float `[*b, h, w, c]`.

    Returns:
      float32 `[*b]` in [-1, 1].

    Raises:
      ValueError: the shapes differ, or a side is shorter than 11 pixels.
      TypeError: an argument holds integers.

    Reference: Wang et al. 2004, "Image quality assessment: from error visibility to structural
    similarity", section III.
    """
    prediction, target = _checked(prediction, target)
    if min(prediction.shape[-3:-1]) < _SSIM_SIZE:
        raise ValueError(
            f"ssim needs at least {_SSIM_SIZE} x {_SSIM_SIZE} pixels, got shape {prediction.shape}"
        )
    # A constant taken from both pictures cancels in the variances and keeps float32 sums small.
    middle = jnp.mean(target, axis=(-3, -2, -1), keepdims=True)
    x, y = prediction - middle, target - middle
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x = _window_mean(x * x) - mean_x * mean_x
    variance_y = _window_mean(y * y) - mean_y * mean_y
    covariance = _window_mean(x * y) - mean_x * mean_y
    mean_x, mean_y = mean_x + middle, mean_y + middle
    c1, c2 = _SSIM_K1**2, _SSIM_K2**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return jnp.mean(luminance * structure, axis=(-3, -2, -1))


def delta_e(prediction, target):
    """Measures the mean CIE76 colour difference: the distance in CIE L*a*b*, over pixels.

    Protocol: sRGB primaries and transfer curve, D65 white, 2 degree observer; about 2.3 is a just
    noticeable difference.

    Args:
      prediction: float `[*b, h, w, 3]`, sRGB in [0, 1]; clipped to that range before the
        conversion.
      target: float `[*b, h, w, 3]`.

    Returns:
      float32 `[*b]`, at least 0.

    Raises:
      ValueError: the shapes differ or the last axis does not hold three channels.
      TypeError: an argument holds integers.

    Reference: CIE 015:2018, section 8.2.1.1.
    """
    prediction, target = _checked(prediction, target)
    if prediction.shape[-1] != 3:
        raise ValueError(
            f"delta_e needs three sRGB channels in the last axis, got shape {prediction.shape}"
        )
    lab = [color.srgb_to_lab(jnp.clip(image, 0.0, 1.0)) for image in (prediction, target)]
    return jnp.mean(jnp.sqrt(jnp.sum(jnp.square(lab[0] - lab[1]), axis=-1)), axis=(-2, -1))


def _checked(prediction, target):
    for name, array in (("prediction", prediction), ("target", target)):
        dtype = jnp.result_type(array)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(
                f"{name} has dtype {dtype}; expected floats in [0, 1] (divide 8-bit pixels by 255)"
            )
    shapes = jnp.shape(prediction), jnp.shape(target)
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"prediction and target must have the same shape, got {shapes[0]} and {shapes[1]}"
        )
    if len(shapes[0]) < 3:
        raise ValueError(f"prediction must be [*b, h, w, c], got shape {shapes[0]}")
    return jnp.asarray(prediction, jnp.float32), jnp.asarray(target, jnp.float32)


def _window_mean(image):
    """Averages `[*b, h, w, c]` under the Gaussian window, over positions where the window fits."""
    taps = np.exp(-0.5 * np.square((np.arange(_SSIM_SIZE) - _SSIM_SIZE // 2) / _SSIM_SIGMA))
    taps = (taps / taps.sum()).astype(np.float32)
    for axis in (-3, -2):
        length = image.shape[axis] - _SSIM_SIZE + 1
        parts = (
            w * jax.lax.slice_in_dim(image, k, k + length, axis=axis % image.ndim)
            for k, w in enumerate(taps)
        )
        image = sum(parts)
    return image

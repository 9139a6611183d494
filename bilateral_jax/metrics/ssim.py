"""Structural similarity, at one scale (SSIM) and at several (MS-SSIM)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax.metrics import checks, window_means
from bilateral_jax.ops import masks, roots

_SIZE, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ssim(prediction, target, *, data_range=1.0, valid=None) -> jax.Array:
    """Structural similarity index, 1 for equal images.

    Protocol: 11 x 11 Gaussian window with sigma 1.5, biased (population) variances, K1 = 0.01, K2
    = 0.03, only windows that lie wholly inside the image, each channel on its own,
    mean over positions and channels.

    Args:
      prediction: float `[*b, h, w, c]`, values in [0, data_range].
      target: float `[*b, h, w, c]`.
      data_range: the value of white in both images: 255 for 8-bit values as floats.
      valid: `[*b, h, w]`, 0 where a pixel is padding; only windows of valid pixels count. None
        counts all.

    Returns:
      float32 `[*b]` in [-1, 1]; 0 where no window counts.

    Raises:
      ValueError: the shapes differ, a side is shorter than 11 pixels, or values cannot be in the
        range.
      TypeError: an argument holds integers.

    Reference: Wang et al. 2004, "Image quality assessment: from error visibility to structural
    similarity", section III.
    """
    prediction, target, valid = checks.image_pair(
        prediction, target, data_range=data_range, valid=valid
    )
    if min(prediction.shape[-3:-1]) < _SIZE:
        raise ValueError(
            f"ssim needs at least {_SIZE} x {_SIZE} pixels, got shape {prediction.shape}"
        )
    return _similarity(prediction, target, valid, size=_SIZE)[0].mean(axis=-1)


def ms_ssim(
    prediction,
    target,
    *,
    weights=_SCALES,
    window="full",
    channels="apart",
    data_range=1.0,
    valid=None,
) -> jax.Array:
    """Multiscale structural similarity index, 1 for equal images.

    Protocol: at every scale the window and constants of `ssim`; between scales the image is halved
    by 2 x 2 means (an odd side repeats its last row or column). The product over the scales
    of the mean contrast-structure term, and at the last scale of the mean `ssim`, each to the power
    of its weight. A negative mean counts as 0, where the plain formula has no value.

    Args:
      prediction: float `[*b, h, w, c]`, values in [0, data_range].
      target: float `[*b, h, w, c]`.
      weights: exponents, the finest scale first; as many scales as weights.
      window: "full" keeps the 11 x 11 window; with five scales both sides need 161 pixels.
        "shrinking" reduces it to the shorter side at small scales, and sigma with it
        (`1.5 * size / 11`), as DPED's code does for its 100 x 100 patches.
      channels: "apart" multiplies within each channel and averages the products; "together"
        averages the means over the channels before the powers, as DPED's code does.
      data_range: the value of white in both images: 255 for 8-bit values as floats.
      valid: must be None: the scales mix valid pixels with padding.

    Returns:
      float32 `[*b]` in [0, 1].

    Raises:
      ValueError: the shapes differ, the image is too small, an option is unknown, values cannot be
        in the range, or `valid` is given.
      TypeError: an argument holds integers.

    Reference: Wang et al. 2003, "Multiscale structural similarity for image quality assessment".
    """
    masks.refuse(valid, "ms_ssim", "its scales mix valid pixels with padding")
    prediction, target, _ = checks.image_pair(prediction, target, data_range=data_range)
    _check_options(prediction.shape, weights, window, channels)
    value = 1.0
    for scale, weight in enumerate(weights):
        if scale:
            prediction, target = _halve(prediction), _halve(target)
        size = min(_SIZE, *prediction.shape[-3:-1])
        similarity, contrast = _similarity(prediction, target, None, size=size)
        term = similarity if scale == len(weights) - 1 else contrast
        if channels == "together":
            term = term.mean(axis=-1, keepdims=True)
        value = value * roots.power(term, weight)
    return value.mean(axis=-1)


def ssim_by_tiles(prediction, target, *, data_range=1.0) -> float:
    """`ssim` of one image, by one program for images of all sizes.

    Args:
      prediction: float `[h, w, c]`, values in [0, data_range].
      target: float `[h, w, c]`.
      data_range: the value of white in both images.

    Returns:
      The index, summed in float64 over tiles.

    Raises:
      ValueError: the shapes differ or are not `[h, w, c]`, a side is shorter than 11 pixels, or
        values cannot be in the range.
      TypeError: an argument holds integers.
    """
    pair = checks.host_pair(prediction, target, data_range=data_range)
    if min(pair[0].shape[:2]) < _SIZE:
        raise ValueError(f"ssim needs at least {_SIZE} x {_SIZE} pixels, got shape {pair[0].shape}")
    return float(_similarity_by_tiles(*pair, _SIZE)[0].mean())


def ms_ssim_by_tiles(
    prediction, target, *, weights=_SCALES, window="full", channels="apart", data_range=1.0
) -> float:
    """`ms_ssim` of one image, by one program per size of window for images of all sizes.

    Args:
      prediction: float `[h, w, c]`, values in [0, data_range].
      target: float `[h, w, c]`.
      weights: as for `ms_ssim`.
      window: as for `ms_ssim`.
      channels: as for `ms_ssim`.
      data_range: the value of white in both images.

    Returns:
      The index, summed in float64 over tiles.

    Raises:
      ValueError: the shapes differ or are not `[h, w, c]`, the image is too small, an option is
        unknown, or values cannot be in the range.
      TypeError: an argument holds integers.
    """
    pair = checks.host_pair(prediction, target, data_range=data_range)
    _check_options(pair[0].shape, weights, window, channels)
    value = 1.0
    for scale, weight in enumerate(weights):
        if scale:
            pair = tuple(_halve(image, np) for image in pair)
        similarity, contrast = _similarity_by_tiles(*pair, min(_SIZE, *pair[0].shape[:2]))
        term = similarity if scale == len(weights) - 1 else contrast
        if channels == "together":
            term = term.mean(keepdims=True)
        value = value * np.maximum(term, 0) ** weight
    return float(value.mean())


def _similarity_by_tiles(prediction, target, size):
    """`_similarity` of one image: float64 `[c]` each."""
    offset = np.float32(target.mean(dtype=np.float64))
    return window_means.mean_by_tiles(_terms_of_size(size), prediction, target, offset, size=size)


@functools.cache
def _terms_of_size(size):
    return lambda prediction, target, offset: _terms(prediction, target, offset=offset, size=size)


def _check_options(shape, weights, window, channels):
    if not len(weights):
        raise ValueError("weights must hold one exponent per scale, got none")
    if window not in ("full", "shrinking"):
        raise ValueError(f'window must be "full" or "shrinking", got {window!r}')
    if channels not in ("apart", "together"):
        raise ValueError(f'channels must be "apart" or "together", got {channels!r}')
    smallest = ((_SIZE - 1) << (len(weights) - 1)) + 1
    if window == "full" and min(shape[-3:-1]) < smallest:
        raise ValueError(
            f"ms_ssim with {len(weights)} scales needs at least {smallest} x {smallest} pixels, "
            f'got shape {shape}; fewer weights or window="shrinking" allow smaller images'
        )


@functools.partial(jax.jit, static_argnames="size")
def _similarity(prediction, target, valid, *, size):
    """Means over positions of the index and of its contrast-structure part, `[*b, c]` each."""
    # A constant subtracted from both images cancels in the variances and keeps float32 sums small.
    offset = target.mean(axis=-2, keepdims=True).mean(axis=(-3, -1), keepdims=True)
    if valid is not None:
        offset = offset / masks.valid_fraction(valid)[..., None, None, None]
    terms = functools.partial(_terms, offset=offset, size=size)
    return window_means.mean(terms, prediction, target, size=size, valid=valid)


def _terms(prediction, target, *, offset, size):
    x, y = prediction - offset, target - offset
    # All five window means at once: one small program instead of five.
    mean_x, mean_y, square_x, square_y, product = _window_mean(
        jnp.stack([x, y, x * x, y * y, x * y]), size
    )
    variance_x, variance_y = square_x - mean_x * mean_x, square_y - mean_y * mean_y
    covariance = product - mean_x * mean_y
    mean_x, mean_y = mean_x + offset, mean_y + offset
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x * mean_x + mean_y * mean_y + _C1)
    contrast = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    return luminance * contrast, contrast


def _window_mean(image, size):
    """Gaussian-weighted means of `[*b, h, w, c]`, at the positions where the window fits."""
    sigma = _SIGMA * size / _SIZE
    taps = np.exp(-0.5 * np.square((np.arange(size) - (size - 1) / 2) / sigma))
    taps = (taps / taps.sum()).astype(np.float32)
    for axis in (-3, -2):
        length = image.shape[axis] - size + 1
        parts = (
            w * jax.lax.slice_in_dim(image, k, k + length, axis=axis % image.ndim)
            for k, w in enumerate(taps)
        )
        image = functools.reduce(jnp.add, parts)
    return image


def _halve(image, xp=jnp):
    for axis in (image.ndim - 3, image.ndim - 2):
        odd = image.shape[axis] % 2
        image = xp.pad(image, [(0, odd * (k == axis)) for k in range(image.ndim)], mode="edge")
        shape = (*image.shape[:axis], image.shape[axis] // 2, 2, *image.shape[axis + 1 :])
        image = image.reshape(shape).mean(axis=axis + 1)
    return image

"""Colour: the sRGB curve, luminance and luma, CIE Lab and ProPhoto, for NumPy and JAX arrays alike.

An image is float `[..., 3]` in the order red, green, blue; 0 is black and 1 is white. A NumPy array
gives a NumPy array (of its own dtype, so float64 stays float64), anything else a JAX array. All
functions are differentiable with finite gradients everywhere, at 0 and below too.
"""

from __future__ import annotations

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

# The result is of the kind of the argument.
Array = TypeVar("Array", np.ndarray, jax.Array)

# IEC 61966-2-1 / BT.709 primaries with the D65 white point.
_XYZ_FROM_LINEAR = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
# Dividing by the row sums puts white at exactly (1, 1, 1), so that greys get a = b = 0.
_RELATIVE_XYZ_FROM_LINEAR = _XYZ_FROM_LINEAR / _XYZ_FROM_LINEAR.sum(axis=1, keepdims=True)
_LAB_FROM_ROOTS = np.array([[0.0, 116.0, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]])

# Weights of red, green and blue.
LUMINANCE_WEIGHTS = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709
LUMA_BT601 = (0.299, 0.587, 0.114)  # ITU-R BT.601
# BT.601 as TensorFlow's rgb_to_grayscale rounds it, and so the published graphs of UPE and DPED.
LUMA_RGB_TO_GRAYSCALE = (0.2989, 0.5870, 0.1140)

# Chromaticities (x, y) of red, green, blue and white.
_ROMM = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), (0.3457, 0.3585))
_SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), (0.3127, 0.3290))
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def _xyz(chromaticity):
    x, y = chromaticity
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _xyz_from_rgb(red, green, blue, white):
    primaries = np.stack([_xyz(red), _xyz(green), _xyz(blue)], axis=1)
    return primaries * np.linalg.solve(primaries, _xyz(white))


def _srgb_from_romm():
    """Linear ROMM RGB under D50 to linear sRGB under D65, white to white."""
    gains = (_BRADFORD @ _xyz(_SRGB[3])) / (_BRADFORD @ _xyz(_ROMM[3]))
    adapted = np.linalg.solve(_BRADFORD, gains[:, None] * _BRADFORD)
    return np.linalg.solve(_xyz_from_rgb(*_SRGB), adapted @ _xyz_from_rgb(*_ROMM))


_LINEAR_SRGB_FROM_ROMM = _srgb_from_romm()


def srgb_to_linear(image: Array) -> Array:
    """Display-referred sRGB values to linear light: the inverse of the sRGB curve.

    Args:
      image: float array of any shape, 1 is white. The linear part of the curve continues below 0,
        the power above 1.

    Returns:
      Linear values, same shape and dtype.

    Raises:
      TypeError: `image` is not of a floating dtype.

    Reference: IEC 61966-2-1:1999.
    """
    xp, image = _floats(image)
    curved = ((xp.maximum(image, 0.04045) + 0.055) / 1.055) ** 2.4
    return xp.where(image <= 0.04045, image / 12.92, curved)


def linear_to_srgb(image: Array) -> Array:
    """Linear light to display-referred sRGB values: the sRGB curve.

    The inverse of `srgb_to_linear`.

    Args:
      image: float array of any shape, 1 is white. The linear part of the curve continues below 0.

    Returns:
      Display-referred values, same shape and dtype.

    Raises:
      TypeError: `image` is not of a floating dtype.

    Reference: IEC 61966-2-1:1999.
    """
    xp, image = _floats(image)
    # The power is taken of a clamped value: its infinite slope at 0 would become a NaN in `where`.
    curved = 1.055 * xp.maximum(image, 0.0031308) ** (1.0 / 2.4) - 0.055
    return xp.where(image <= 0.0031308, image * 12.92, curved)


def luminance(image: Array) -> Array:
    """Luminance Y of linear values, luma of display-referred ones, with the weights of BT.709.

    Args:
      image: float `[..., 3]`.

    Returns:
      `[...]`, same dtype. White gives 1.

    Raises:
      TypeError: `image` is not of a floating dtype.
      ValueError: the last axis of `image` is not 3.

    Reference: ITU-R BT.709-6, item 3.2.
    """
    return luma(image, weights=LUMINANCE_WEIGHTS)


def scale_saturation(image: Array, factor) -> Array:
    """Scales the distance of every colour from the grey of its luminance.

    Args:
      image: float `[..., 3]`.
      factor: 0 gives grey, 1 the image; a number, or an array that broadcasts against the image.

    Returns:
      `[..., 3]`; the luminance is kept.

    Raises:
      TypeError: `image` is not of a floating dtype.
      ValueError: the last axis of `image` is not 3.
    """
    grey = luminance(image)[..., None]
    return grey + (image - grey) * factor


def luma(image: Array, *, weights) -> Array:
    """Weighted sum of red, green and blue.

    Args:
      image: float `[..., 3]`.
      weights: of the three channels, for example `LUMA_BT601`.

    Returns:
      `[...]`, same dtype.

    Raises:
      TypeError: `image` is not of a floating dtype.
      ValueError: the last axis of `image` is not 3.
    """
    _, image = _colors(image)
    red, green, blue = weights
    return image[..., 0] * red + image[..., 1] * green + image[..., 2] * blue


def gray(image: Array, *, weights=LUMA_RGB_TO_GRAYSCALE) -> Array:
    """Weighted sum of red, green and blue as an image of one channel.

    Args:
      image: float `[..., 3]`.
      weights: of the three channels.

    Returns:
      `[..., 1]`, same dtype.

    Raises:
      TypeError: `image` is not of a floating dtype.
      ValueError: the last axis of `image` is not 3.
    """
    xp, image = _colors(image)
    weights = xp.asarray(weights, image.dtype).reshape((1,) * (image.ndim - 1) + (3,))
    return (image * weights).sum(-1, keepdims=True)


def srgb_to_lab(image: Array) -> Array:
    """Display-referred sRGB to CIE L*a*b* under D65 (2 degree observer).

    Args:
      image: float `[..., 3]`, display-referred, usually in [0, 1].

    Returns:
      `[..., 3]`, same dtype: L* in [0, 100], a* and b* about [-110, 110]. Greys have a* = b* = 0.

    Raises:
      TypeError: `image` is not of a floating dtype.
      ValueError: the last axis of `image` is not 3.

    Reference: CIE 15:2018, section 8.2.1.
    """
    xp, image = _colors(image)
    relative = _mix(xp, srgb_to_linear(image), _RELATIVE_XYZ_FROM_LINEAR)
    threshold = (6 / 29) ** 3
    root = xp.maximum(relative, threshold) ** (1 / 3)
    straight = relative * ((29 / 6) ** 2 / 3) + 4 / 29
    lab = _mix(xp, xp.where(relative > threshold, root, straight), _LAB_FROM_ROOTS)
    return lab - xp.asarray([16.0, 0.0, 0.0], lab.dtype).reshape((1,) * (lab.ndim - 1) + (3,))


def prophoto_to_srgb(image: Array) -> Array:
    """ProPhoto RGB (ROMM RGB) to display-referred sRGB.

    Inverts the ROMM curve (power 1.8, linear below 1/512), converts the primaries with Bradford
    adaptation from D50 to D65, and applies the sRGB curve.

    Args:
      image: float `[..., 3]`, display-referred ROMM RGB in [0, 1].

    Returns:
      `[..., 3]`, same dtype, not clipped: colours outside the sRGB gamut lie outside [0, 1].
      Greys stay grey.

    Raises:
      TypeError: `image` is not of a floating dtype.
      ValueError: the last axis of `image` is not 3.

    Reference: ISO 22028-2:2013 (ROMM RGB); IEC 61966-2-1:1999.
    """
    xp, image = _colors(image)
    linear = xp.where(image < 1 / 32, image / 16, xp.maximum(image, 1 / 32) ** 1.8)
    return linear_to_srgb(_mix(xp, linear, _LINEAR_SRGB_FROM_ROMM))


def _mix(xp, image, matrix):
    """Applies a 3x3 matrix to every pixel, in full precision on every device."""
    matrix = xp.asarray(matrix.T, image.dtype)
    if xp is np:
        return image @ matrix
    return jnp.matmul(image, matrix, precision=jax.lax.Precision.HIGHEST)


def _floats(image):
    """NumPy or JAX, by the type of the argument, and the argument as a floating-point array."""
    xp = np if isinstance(image, np.ndarray | np.generic) else jnp
    image = xp.asarray(image)
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise TypeError(
            f"image must be floating point with 1 as white, got dtype {image.dtype}; "
            "images.to_float turns 8- and 16-bit pixels into that"
        )
    return xp, image


def _colors(image):
    xp, image = _floats(image)
    if image.ndim == 0 or image.shape[-1] != 3:
        raise ValueError(f"image must end in 3 colour channels, got shape {image.shape}")
    return xp, image

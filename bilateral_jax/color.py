"""Colour: the sRGB curve, luminance and CIE Lab, for NumPy and JAX arrays alike.

An image is float `[..., 3]` in the order red, green, blue; 0 is black and 1 is white. Every
function answers in the kind it was asked in: a NumPy array gives a NumPy array (of its own dtype,
so float64 stays float64), anything else gives a JAX array. All are differentiable with finite
gradients everywhere, at 0 and below too.

Receives pixels from `images`, `models` or `filters`.
Hands curves, luminance and Lab coordinates to `filters`, `losses`, `metrics` and `data`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

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

LUMINANCE_WEIGHTS = (0.2126, 0.7152, 0.0722)


def srgb_to_linear(image):
    """Undoes the sRGB curve: display-referred values to linear light.

    Args:
      image: float array of any shape, 1 is white. Below 0 the straight part of the curve goes on,
        above 1 the power does.

    Returns:
      Linear values, same shape and dtype.

    Raises:
      TypeError: `image` is not of a floating dtype.

    Reference: IEC 61966-2-1:1999.
    """
    xp, image = _floats(image)
    curved = ((xp.maximum(image, 0.04045) + 0.055) / 1.055) ** 2.4
    return xp.where(image <= 0.04045, image / 12.92, curved)


def linear_to_srgb(image):
    """Applies the sRGB curve: linear light to display-referred values.

    The inverse of `srgb_to_linear`.

    Args:
      image: float array of any shape, 1 is white. Below 0 the straight part of the curve goes on.

    Returns:
      Display-referred values, same shape and dtype.

    Raises:
      TypeError: `image` is not of a floating dtype.

    Reference: IEC 61966-2-1:1999.
    """
    xp, image = _floats(image)
    # The power is taken of a clamped value: its slope at 0 is infinite, and `where` would make that
    # a NaN.
    curved = 1.055 * xp.maximum(image, 0.0031308) ** (1.0 / 2.4) - 0.055
    return xp.where(image <= 0.0031308, image * 12.92, curved)


def luminance(image):
    """Weighs red, green and blue to one brightness per pixel, with the weights of BT.709.

    Of linear values this is the luminance Y; of display-referred ones it is the luma.

    Args:
      image: float `[..., 3]`.

    Returns:
      `[...]`, same dtype. White gives 1.

    Raises:
      TypeError: `image` is not of a floating dtype.
      ValueError: the last axis of `image` is not 3.

    Reference: ITU-R BT.709-6, item 3.2.
    """
    xp, image = _colors(image)
    red, green, blue = LUMINANCE_WEIGHTS
    return image[..., 0] * red + image[..., 1] * green + image[..., 2] * blue


def srgb_to_lab(image):
    """Maps display-referred sRGB to CIE L*a*b* under D65 (2 degree observer).

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


def _mix(xp, image, matrix):
    """Applies a 3x3 matrix to every pixel, in full precision on every device."""
    matrix = xp.asarray(matrix.T, image.dtype)
    if xp is np:
        return image @ matrix
    return jnp.matmul(image, matrix, precision=jax.lax.Precision.HIGHEST)


def _floats(image):
    """Chooses NumPy or JAX by the argument's kind and refuses whole numbers."""
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

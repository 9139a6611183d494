"""Colour differences (delta E): CIE76 and CIEDE2000."""

import functools
import math

import jax
import jax.numpy as jnp

from bilateral_jax import color
from bilateral_jax.metrics import checks, window_means
from bilateral_jax.ops import roots

_TURN = 2 * math.pi


def delta_e(prediction, target, *, data_range=1.0, valid=None) -> jax.Array:
    """Mean CIE76 colour difference: the distance in CIE L*a*b*, averaged over pixels.

    Protocol: sRGB primaries and transfer curve, D65 white, 2 degree observer; about 2.3 is a just
    noticeable difference.

    Args:
      prediction: float `[*b, h, w, 3]`, sRGB in [0, data_range]; clipped to that range before the
        conversion.
      target: float `[*b, h, w, 3]`.
      data_range: the value of white in both images: 255 for 8-bit values as floats.
      valid: `[*b, h, w]`, 0 where a pixel is padding and does not count; None counts all.

    Returns:
      float32 `[*b]`, at least 0; 0 without valid pixels.

    Raises:
      ValueError: the shapes differ, the last axis does not hold three channels, or values cannot be
        in the range.
      TypeError: an argument holds integers.

    Reference: CIE 015:2018, section 8.2.1.1.
    """
    pair = checks.image_pair(prediction, target, data_range=data_range, channels=3, valid=valid)
    return _mean_difference(_distances, *pair)


def delta_e_2000(prediction, target, *, data_range=1.0, valid=None) -> jax.Array:
    """Mean CIEDE2000 colour difference over pixels.

    Protocol: Lab as for `delta_e`; all parametric factors (kL, kC, kH) are 1. Saturated colours
    count less and blues are corrected, so values are about half those of `delta_e`.

    Args:
      prediction: float `[*b, h, w, 3]`, sRGB in [0, data_range]; clipped to that range before the
        conversion.
      target: float `[*b, h, w, 3]`.
      data_range: the value of white in both images: 255 for 8-bit values as floats.
      valid: `[*b, h, w]`, 0 where a pixel is padding and does not count; None counts all.

    Returns:
      float32 `[*b]`, at least 0; 0 without valid pixels.

    Raises:
      ValueError: the shapes differ, the last axis does not hold three channels, or values cannot be
        in the range.
      TypeError: an argument holds integers.

    Reference: CIE 142-2001.
    """
    pair = checks.image_pair(prediction, target, data_range=data_range, channels=3, valid=valid)
    return _mean_difference(_distances_2000, *pair)


def delta_e_by_tiles(prediction, target, *, data_range=1.0) -> float:
    """`delta_e` of one image, by one program for images of all sizes.

    Args:
      prediction: float `[h, w, 3]`, sRGB in [0, data_range]; clipped to that range.
      target: float `[h, w, 3]`.
      data_range: the value of white in both images.

    Returns:
      The mean difference, summed in float64 over tiles.

    Raises:
      ValueError: the shapes differ or are not `[h, w, 3]`, or values cannot be in the range.
      TypeError: an argument holds integers.
    """
    pair = checks.host_pair(prediction, target, data_range=data_range, channels=3)
    return float(window_means.mean_by_tiles(_distances, *pair)[0])


def delta_e_2000_by_tiles(prediction, target, *, data_range=1.0) -> float:
    """`delta_e_2000` of one image, by one program for images of all sizes.

    Args:
      prediction: float `[h, w, 3]`, sRGB in [0, data_range]; clipped to that range.
      target: float `[h, w, 3]`.
      data_range: the value of white in both images.

    Returns:
      The mean difference, summed in float64 over tiles.

    Raises:
      ValueError: the shapes differ or are not `[h, w, 3]`, or values cannot be in the range.
      TypeError: an argument holds integers.
    """
    pair = checks.host_pair(prediction, target, data_range=data_range, channels=3)
    return float(window_means.mean_by_tiles(_distances_2000, *pair)[0])


def ciede2000(lab, other) -> jax.Array:
    """CIEDE2000 difference of two colours.

    The formula is discontinuous where two hues are half a turn apart. The sign of a cross product
    decides there: unlike a difference of rounded angles it is right for exactly opposite colours.

    Args:
      lab: float `[..., 3]`, CIE L*a*b*.
      other: float `[..., 3]`.

    Returns:
      float32 `[...]`, at least 0, symmetric. Its gradient is 0 where the two colours are equal.

    Raises:
      ValueError: the shapes differ or do not end in 3.

    Reference: Sharma, Wu, Dalal 2005, "The CIEDE2000 color-difference formula: implementation
    notes, supplementary test data, and mathematical observations".
    """
    if jnp.shape(lab) != jnp.shape(other) or jnp.shape(lab)[-1:] != (3,):
        raise ValueError(
            "lab and other must have one shape that ends in 3, "
            f"got {jnp.shape(lab)} and {jnp.shape(other)}"
        )
    return _ciede2000(*(jnp.asarray(x, jnp.float32) for x in (lab, other)))


@jax.jit
def _ciede2000(lab, other):
    lightness, a, b = (jnp.stack([lab[..., k], other[..., k]]) for k in range(3))
    chroma = roots.sqrt(a * a + b * b).mean(axis=0)
    a = a * (1.5 - 0.5 * _saturation(chroma))[None]
    chroma = roots.sqrt(a * a + b * b)
    hue_step, hue = _hues(a, b)
    lightness_step, lightness = lightness[1] - lightness[0], lightness.mean(axis=0)
    chroma_step, mean_chroma = chroma[1] - chroma[0], chroma.mean(axis=0)
    hue_step = 2 * roots.sqrt(chroma[0] * chroma[1]) * jnp.sin(hue_step / 2)

    from_middle = jnp.square(lightness - 50)
    lightness_step /= 1 + 0.015 * from_middle / jnp.sqrt(20 + from_middle)
    chroma_step /= 1 + 0.045 * mean_chroma
    hue_step /= 1 + 0.015 * mean_chroma * _hue_weight(hue)
    blue = jnp.exp(-jnp.square((jnp.rad2deg(hue) - 275) / 25))
    turn = -2 * _saturation(mean_chroma) * jnp.sin(jnp.deg2rad(60.0) * blue)
    squares = jnp.square(lightness_step) + jnp.square(chroma_step) + jnp.square(hue_step)
    return roots.sqrt(squares + turn * chroma_step * hue_step)


@functools.partial(jax.jit, static_argnums=0)
def _mean_difference(function, prediction, target, valid):
    return window_means.mean(function, prediction, target, valid=valid)[..., 0]


def _distances(*pair):
    """CIE76 differences of two sRGB images: `[*b, h, w, 1]`."""
    lab, other = map(_lab, pair)
    return roots.sqrt(jnp.square(lab - other).sum(axis=-1))[..., None]


def _distances_2000(*pair):
    """CIEDE2000 differences of two sRGB images: `[*b, h, w, 1]`."""
    return ciede2000(*map(_lab, pair))[..., None]


def _lab(image):
    return color.srgb_to_lab(jnp.clip(image, 0.0, 1.0))


def _hues(a, b):
    """Difference of the two hues, at most half a turn, and their mean; radians.

    The hue of grey is arbitrary: its chroma, 0, cancels it.
    """
    grey = (a == 0) & (b == 0)
    hue = jnp.where(grey, 0.0, jnp.arctan2(b, jnp.where(grey, 1.0, a)))
    hue = jnp.where(hue < 0, hue + _TURN, hue)
    step, total = hue[1] - hue[0], hue[0] + hue[1]
    # More than half a turn apart? Two products are compared: their difference would be compiled to
    # a fused multiply-add, which is not 0 for opposite colours.
    left, right = a[0] * b[1], a[1] * b[0]
    far = jnp.where(step > 0, left < right, left > right)
    step = jnp.where(far, step - jnp.sign(step) * _TURN, step)
    around = jnp.where(total < _TURN, total + _TURN, total - _TURN)
    return step, jnp.where(far, around, total) / 2


def _hue_weight(hue):
    degrees = jnp.deg2rad
    return (
        1
        - 0.17 * jnp.cos(hue - degrees(30.0))
        + 0.24 * jnp.cos(2 * hue)
        + 0.32 * jnp.cos(3 * hue + degrees(6.0))
        - 0.20 * jnp.cos(4 * hue - degrees(63.0))
    )


def _saturation(chroma):
    """`sqrt(chroma^7 / (chroma^7 + 25^7))`, without numbers too large for float32."""
    relative = chroma / 25
    return relative**3.5 / jnp.sqrt(relative**7 + 1)

"""UPE's losses of an illumination map and of the image computed with it.

With the photo I, its illumination S, the result R and the target T, all means over pixels and
channels, the published graph minimises L_r + 2 L_s + L_c:

    L_r = mean (T - R)^2                                 `reconstruction.mse(R, T)`
    L_s = mean (wx * dxS^2 + wy * dyS^2) / 2             `smoothness_loss(S, I)`
    L_c = mean (1 - cos(R, T))                           `color_loss(R, T)`

and the paper prints L_r as mean (I - S T)^2, `reconstruction.mse(S * T, I)`, L_c with the angle
itself, `color_loss(R, T, form="angle")`, and its weight as .2. The constants of L_s (1.5, 1.2,
1e-4) and the weights of red, green and blue are the graph's; the paper names the exponent 1.2 and
the 1e-4.

Reference: Wang et al. 2019, "Underexposed photo enhancement using deep illumination estimation",
section 3.3.
"""

import jax
import jax.numpy as jnp
from jax import lax

from bilateral_jax import color
from bilateral_jax.ops import masks, ranges

FORMS = ("cosine", "angle")

_STRENGTH, _EXPONENT, _EPSILON = 1.5, 1.2, 1e-4
_MIN_SQUARED_NORM = 1e-12  # a colour with a smaller norm has no direction


def smoothness_loss(illumination, image, *, valid=None) -> jax.Array:
    """Weighted mean squared gradient of an illumination map; edges of the photo weigh less.

    The weight of the difference to the next pixel on the right or below is 1.5 / (|d|^1.2 + 1e-4),
    where d is the same difference of the log luma ln(Y + 1e-4) of the photo. It has no gradient.

    Args:
      illumination: float `[*b, h, w, c]`, h and w at least 2.
      image: float `[*b, h, w, 3]`, values in [0, 1].
      valid: `[*b, h, w]`, 0 where a pixel is padding; a pixel counts where it and its two
        neighbours are valid. None counts all.

    Returns:
      float32 (float64 of float64) `[*b]`; 0 for a constant illumination or without such pixels.

    Raises:
      ValueError: the two differ in size, are smaller than 2 x 2, or the image lacks three channels
        or holds values that cannot be in [0, 1].
    """
    shape, size = jnp.shape(image), jnp.shape(illumination)[:-1]
    if len(shape) < 3 or shape[-1] != 3 or shape[:-1] != size or min(size[-2:]) < 2:
        raise ValueError(
            "illumination and image must be [*b, h, w, c] and [*b, h, w, 3] of one size, at least "
            f"2 x 2, got {jnp.shape(illumination)} and {shape}"
        )
    ranges.check(1.0, image=image)
    valid = masks.check(valid, shape)
    image = masks.zero(_at_least_float32(lax.stop_gradient(image)), valid)
    illumination = masks.zero(_at_least_float32(illumination), valid)
    luma = color.luma(image, weights=color.LUMA_RGB_TO_GRAYSCALE)
    log_luma = jnp.log(jnp.maximum(luma, 0) + _EPSILON)[..., None]
    weighted = 0.0
    for axis in (-3, -2):
        weight = _STRENGTH / (jnp.abs(_differences(log_luma, axis)) ** _EXPONENT + _EPSILON)
        weighted = weighted + weight * jnp.square(_differences(illumination, axis))
    return masks.mean(weighted, masks.neighbours(valid)) / 2


def color_loss(prediction, target, *, form: str = "cosine", valid=None) -> jax.Array:
    """Mean angular difference between the RGB vectors of two images, whatever their brightness.

    Args:
      prediction: float `[*b, h, w, 3]`.
      target: float `[*b, h, w, 3]`.
      form: "cosine", 1 - cos of the angle between the two colours, 1 where one of them is black (as
        in the published graph); or "angle", the angle in radians, 0 where one of them is black. The
        angle's gradient does not vanish as the colours approach each other; it is finite
        everywhere.
      valid: `[*b, h, w]`, 0 where a pixel is padding and does not count; None counts all.

    Returns:
      float32 (float64 of float64) `[*b]`; 0 for an example without valid pixels.

    Raises:
      ValueError: unknown form, other shapes, or not three channels.
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {FORMS}, got {form!r}")
    shape = jnp.shape(prediction)
    if shape != jnp.shape(target) or len(shape) < 3 or shape[-1] != 3:
        raise ValueError(
            f"prediction and target must both be [*b, h, w, 3], got {shape} and {jnp.shape(target)}"
        )
    valid = masks.check(valid, shape)
    one, one_black = _unit(masks.zero(prediction, valid))
    two, two_black = _unit(masks.zero(target, valid))
    cosine = jnp.sum(one * two, axis=-1)
    if form == "cosine":
        return masks.mean((1 - cosine)[..., None], valid)
    # The arc cosine has no derivative at 1, which training approaches; the arc tangent has.
    squared_sine = jnp.sum(jnp.square(jnp.cross(one, two)), axis=-1)
    defined = ~(one_black | two_black)
    sine = jnp.sqrt(jnp.where(defined, squared_sine, 1) + _MIN_SQUARED_NORM)
    angle = jnp.arctan2(sine, jnp.where(defined, cosine, 1))
    return masks.mean(jnp.where(defined, angle, 0)[..., None], valid)


def _at_least_float32(values):
    """Half precision to float32; float64 stays."""
    values = jnp.asarray(values)
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


def _differences(values, axis):
    """Next pixel minus this one, where both axes have a next pixel."""
    values = jnp.diff(values, axis=axis)
    return lax.slice_in_dim(values, 0, values.shape[-5 - axis] - 1, axis=values.ndim - 5 - axis)


def _unit(image):
    """Colours scaled to norm 1, and which pixels are black and so have no direction."""
    image = _at_least_float32(image)
    squared = jnp.sum(jnp.square(image), axis=-1, keepdims=True)
    lit = squared > _MIN_SQUARED_NORM
    return image * lax.rsqrt(jnp.maximum(squared, _MIN_SQUARED_NORM)), ~lit[..., 0]

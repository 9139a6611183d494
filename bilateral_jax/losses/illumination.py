"""What UPE asks of an illumination map and of the picture that comes of it.

With the photo I, its illumination S, the result R and the target T, all means over pixels and
channels, the published graph minimises L_r + 2 L_s + L_c:

    L_r = mean (T - R)^2                                 `reconstruction.mse(R, T)`
    L_s = mean (wx * dxS^2 + wy * dyS^2) / 2             `smoothness(S, I)`
    L_c = mean (1 - cos(R, T))                           `colour(R, T)`

and the paper prints L_r as mean (I - S T)^2, `reconstruction.mse(S * T, I)`, L_c with the angle
itself, `colour(R, T, form="angle")`, and its weight as .2. The constants of L_s (1.5, 1.2, 1e-4)
and the weights of red, green and blue (.2989, .5870, .1140) are the graph's; the paper names the
exponent 1.2 and the 1e-4.

Receives pictures and illumination maps [*b, h, w, 3] from experiments.
Hands one value per example [*b] to training/step.py's weighted mean.

Reference: Wang et al. 2019, "Underexposed photo enhancement using deep illumination estimation",
section 3.3.
"""

import jax.numpy as jnp
from jax import lax

FORMS = ("cosine", "angle")

_LUMA = (0.2989, 0.5870, 0.1140)
_STRENGTH, _EXPONENT, _EPSILON = 1.5, 1.2, 1e-4
_SQUARED_LENGTH = 1e-12  # below it a colour has no direction


def smoothness(illumination, image):
    """Averages the squared steps of the illumination, each weighted by how flat the photo is there.

    The weight of a step to the next pixel on the right or below is 1.5 / (|d|^1.2 + 1e-4), where d
    is the same step of the log luminance ln(Y + 1e-4) of the photo. Nothing flows back through it.

    Args:
      illumination: float `[*b, h, w, c]`, h and w at least 2.
      image: float `[*b, h, w, 3]`, values in [0, 1].

    Returns:
      float32 (float64 of float64) `[*b]`; 0 for a constant illumination.

    Raises:
      ValueError: the two differ in size, are smaller than 2 x 2, or the image lacks three channels.
    """
    shape, size = jnp.shape(image), jnp.shape(illumination)[:-1]
    if len(shape) < 3 or shape[-1] != 3 or shape[:-1] != size or min(size[-2:]) < 2:
        raise ValueError(
            "illumination and image must be [*b, h, w, c] and [*b, h, w, 3] of one size, at least "
            f"2 x 2, got {jnp.shape(illumination)} and {shape}"
        )
    image, illumination = _wide(lax.stop_gradient(image)), _wide(illumination)
    luma = sum(weight * image[..., i] for i, weight in enumerate(_LUMA))
    log_luma = jnp.log(jnp.maximum(luma, 0) + _EPSILON)[..., None]
    total = 0.0
    for axis in (-3, -2):
        weight = _STRENGTH / (jnp.abs(_steps(log_luma, axis)) ** _EXPONENT + _EPSILON)
        total = total + weight * jnp.square(_steps(illumination, axis))
    return jnp.mean(total, axis=(-3, -2, -1)) / 2


def colour(prediction, target, *, form: str = "cosine"):
    """Averages how far the colours of two pictures point apart, whatever their brightness.

    Args:
      prediction: float `[*b, h, w, 3]`.
      target: float `[*b, h, w, 3]`.
      form: "cosine", 1 - cos of the angle between the two colours, 1 where one of them is black (as
        in the published graph); or "angle", the angle in radians, 0 where one of them is black. The
        angle's gradient does not vanish as the colours meet; it is finite everywhere.

    Returns:
      float32 (float64 of float64) `[*b]`.

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
    (one, one_lit), (two, two_lit) = _direction(prediction), _direction(target)
    cosine = jnp.sum(one * two, axis=-1)
    if form == "cosine":
        return jnp.mean(1 - cosine, axis=(-2, -1))
    # The arc cosine has no derivative at 1, where training leads; the arc tangent has.
    squared_sine = jnp.sum(jnp.square(jnp.cross(one, two)), axis=-1)
    lit = one_lit & two_lit
    sine = jnp.sqrt(jnp.where(lit, squared_sine, 1) + _SQUARED_LENGTH)
    angle = jnp.arctan2(sine, jnp.where(lit, cosine, 1))
    return jnp.mean(jnp.where(lit, angle, 0), axis=(-2, -1))


def _wide(values):
    """Shorter floats to float32; float64 stays."""
    values = jnp.asarray(values)
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


def _steps(values, axis):
    """Next pixel minus this one, where both axes have a next pixel."""
    values = jnp.diff(values, axis=axis)
    return lax.slice_in_dim(values, 0, values.shape[-5 - axis] - 1, axis=values.ndim - 5 - axis)


def _direction(picture):
    """Colours of length 1, and which pixels have one."""
    picture = _wide(picture)
    squared = jnp.sum(jnp.square(picture), axis=-1, keepdims=True)
    lit = squared > _SQUARED_LENGTH
    return picture * lax.rsqrt(jnp.maximum(squared, _SQUARED_LENGTH)), lit[..., 0]

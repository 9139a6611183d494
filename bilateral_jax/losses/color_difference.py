"""The colour difference CIE94 as a loss.

Reference: CIE 116-1995, "Industrial colour-difference evaluation" (k1 = 0.045, k2 = 0.015); the
published code of LUTwithBGrid and SVDLUT, which has it as a loss.
"""

import jax
import jax.numpy as jnp

from bilateral_jax import color
from bilateral_jax.losses import reconstruction
from bilateral_jax.ops import masks

_EPSILON = 1e-12  # under the roots, whose slope is infinite at 0


def cie94(prediction, target, *, valid=None) -> jax.Array:
    """Mean CIE94 difference of the pixels' colours, with the prediction as the reference.

    With lightness L, chroma C and hue H of CIE L*a*b* under D65:
    `sqrt(dL^2 + (dC / (1 + 0.045 C))^2 + (dH / (1 + 0.015 C))^2)`, C of the prediction.

    Args:
      prediction: float `[*b, h, w, 3]`, display-referred sRGB.
      target: float `[*b, h, w, 3]`.
      valid: `[*b, h, w]`, 0 where a pixel is padding and does not count; None counts all.

    Returns:
      float32 `[*b]`; the gradient is finite everywhere.

    Raises:
      ValueError: the shapes differ, or have fewer than three axes or other than three channels.
    """
    reconstruction.check_pair(prediction, target)
    valid = masks.check(valid, jnp.shape(prediction))
    one, two = (
        color.srgb_to_lab(masks.zero(jnp.asarray(image, jnp.float32), valid))
        for image in (prediction, target)
    )
    chroma, other = (jnp.sqrt(jnp.square(lab[..., 1:]).sum(-1) + _EPSILON) for lab in (one, two))
    squares = jnp.square(one - two)
    chroma_difference = jnp.square(chroma - other)
    hue_difference = squares[..., 1] + squares[..., 2] - chroma_difference
    total = (
        squares[..., 0]
        + chroma_difference / jnp.square(1 + 0.045 * chroma)
        + hue_difference / jnp.square(1 + 0.015 * chroma)
    )
    return masks.mean(jnp.sqrt(jnp.maximum(total, 0) + _EPSILON)[..., None], valid)

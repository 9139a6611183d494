"""Total variation of images.

Reference: Ignatov et al. 2017, "DSLR-quality photos on mobile devices with deep convolutional
networks", section 3.1, and the published code.
"""

import math

import jax
import jax.numpy as jnp

from bilateral_jax.losses import reconstruction
from bilateral_jax.ops import masks


def total_variation(image, *, form="code", valid=None) -> jax.Array:
    """Total variation of an image: squared differences of neighbouring pixels.

    Args:
      image: float `[*b, h, w, c]` with at least two rows and columns.
      form: "code": the mean squared difference of vertical neighbours plus that of horizontal ones;
        "paper": the Euclidean norm of the sum of both differences, divided by the number of values
        in the image. The paper leaves the border open; here the last row and column have no
        difference.
      valid: `[*b, h, w]`, 0 where a pixel is padding; only differences of valid pixels count. None
        counts all.

    Returns:
      float32 `[*b]`; 0 for an example without such differences. The gradient is finite everywhere.

    Raises:
      ValueError: an unknown form, fewer than three axes, a single row or column, or `valid` does
        not fit.
    """
    if form not in ("code", "paper"):
        raise ValueError(f'form must be "code" or "paper", got {form!r}')
    shape = jnp.shape(image)
    if len(shape) < 3 or min(shape[-3:-1]) < 2:
        raise ValueError(f"image must be [*b, h, w, c] with h and w at least 2, got {shape}")
    valid = masks.check(valid, shape)
    image = masks.zero(jnp.asarray(image, jnp.float32), valid)
    down = image[..., 1:, :, :] - image[..., :-1, :, :]
    right = image[..., :, 1:, :] - image[..., :, :-1, :]
    if form == "code":
        vertical = masks.mean(jnp.square(down), masks.windows(valid, 2, 1))
        return vertical + masks.mean(jnp.square(right), masks.windows(valid, 1, 2))
    total = down[..., :-1, :] + right[..., :-1, :, :]
    if valid is None:
        return reconstruction.l2_norm(total) / math.prod(shape[-3:])
    norm = reconstruction.l2_norm(masks.zero(total, masks.neighbours(valid)))
    return norm / (math.prod(shape[-3:]) * masks.valid_fraction(valid))

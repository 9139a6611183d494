"""How restless a picture is from pixel to pixel.

Receives pictures [*b, h, w, c] from experiments.
Hands one value per example [*b] to training/step.py's weighted mean.

Reference: Ignatov et al. 2017, "DSLR-quality photos on mobile devices with deep convolutional
networks", section 3.1, and the published code.
"""

import math

import jax.numpy as jnp

from bilateral_jax.losses import reconstruction


def picture(image, *, form="code"):
    """Measures the differences between neighbouring pixels.

    Args:
      image: float `[*b, h, w, c]` with at least two rows and columns.
      form: "code": the mean squared difference of vertical neighbours plus that of horizontal ones;
        "paper": the length of the sum of both differences, divided by the number of values in the
        picture. The paper leaves the border open; here the last row and column have no difference.

    Returns:
      float32 `[*b]`. The gradient is finite everywhere.

    Raises:
      ValueError: an unknown form, fewer than three axes, or a single row or column.
    """
    if form not in ("code", "paper"):
        raise ValueError(f'form must be "code" or "paper", got {form!r}')
    shape = jnp.shape(image)
    if len(shape) < 3 or min(shape[-3:-1]) < 2:
        raise ValueError(f"image must be [*b, h, w, c] with h and w at least 2, got {shape}")
    image = jnp.asarray(image, jnp.float32)
    down = image[..., 1:, :, :] - image[..., :-1, :, :]
    right = image[..., :, 1:, :] - image[..., :, :-1, :]
    axes = (-3, -2, -1)
    if form == "code":
        return jnp.square(down).mean(axes) + jnp.square(right).mean(axes)
    length = reconstruction.length(down[..., :-1, :] + right[..., :-1, :, :])
    return length / math.prod(shape[-3:])

"""Blurred images, and the colour difference of two.

The blur removes texture, and small shifts between the photos that two cameras took of a scene. What
lies beyond an image counts as black in both.

Reference: Ignatov et al. 2017, "DSLR-quality photos on mobile devices with deep convolutional
networks", section 3.1, and the published code.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bilateral_jax.losses import reconstruction
from bilateral_jax.ops import masks

BLURS = ("code", "paper")
_RADIUS = 10  # taps on either side of the middle
CROPPED = 2 * _RADIUS  # rows and columns that a cropped blur has fewer


def blurred_color(prediction, target, *, blur="code", form="code", valid=None) -> jax.Array:
    """Sum of the squared differences of two blurred images.

    Args:
      prediction: float `[*b, h, w, c]`, not clipped.
      target: float `[*b, h, w, c]`.
      blur: as for `blur_taps`.
      form: "code" is half the sum over pixels and channels; "paper" the whole sum.
      valid: `[*b, h, w]`, 0 where a pixel is padding: black in both images, and left out of the
        sum. None counts all.

    Returns:
      float32 `[*b]`; it grows with the number of pixels.

    Raises:
      ValueError: the shapes differ or have fewer than three axes, or an option is unknown.
    """
    if form not in ("code", "paper"):
        raise ValueError(f'form must be "code" or "paper", got {form!r}')
    difference, valid = reconstruction.difference(prediction, target, valid=valid)
    # Blurring is linear: the difference needs it once.
    difference = masks.zero(blur_image(difference, blur=blur), valid)
    total = jnp.square(difference).sum(axis=(-3, -2, -1))
    return 0.5 * total if form == "code" else total


def blur_taps(blur) -> np.ndarray:
    """The 21 taps of a separable blur.

    Args:
      blur: "code": the published code's, which is a Gaussian of 4.707 pixels, sum 1; "paper": the
        square root of 0.053 times a Gaussian of variance 3 (the paper's figures, whose weights sum
        to 0.999 for this reading only); or a standard deviation in pixels, sum 1.

    Returns:
      float64 `[21]`.

    Raises:
      ValueError: another name, or a deviation that is not positive.
    """
    taps = np.arange(-_RADIUS, _RADIUS + 1)
    if isinstance(blur, str) and blur in BLURS:
        if blur == "paper":
            return np.sqrt(0.053) * np.exp(-(taps**2) / 6.0)
        # The square root of the mass of a normal distribution in 21 bins that span +-(3 + 1/6).
        edges = np.linspace(-3 - 1 / 6, 3 + 1 / 6, 2 * _RADIUS + 2)
        mass = np.diff([0.5 * (1.0 + math.erf(edge / math.sqrt(2.0))) for edge in edges])
        weights = np.sqrt(mass)
    elif not isinstance(blur, str) and blur > 0:
        weights = np.exp(-(taps**2) / (2.0 * float(blur) ** 2))
    else:
        raise ValueError(f"blur must be one of {BLURS} or a positive deviation, got {blur!r}")
    return weights / weights.sum()


def blur_image(image, *, blur="code", crop=False) -> jax.Array:
    """Blurs images along both axes; what lies beyond an image is black.

    Args:
      image: float `[*b, h, w, c]`.
      blur: as for `blur_taps`.
      crop: leave the outermost 10 pixels of each side out, which depend on what lies beyond; a
        critic could tell images by them.

    Returns:
      float32 `[*b, h, w, c]`, or `[*b, h - 20, w - 20, c]`.

    Raises:
      ValueError: fewer than three axes, images of at most 20 pixels to crop, or another blur.
    """
    weights, margin = blur_taps(blur), _RADIUS if crop else 0
    shape = jnp.shape(image)
    if len(shape) < 3 or min(shape[-3:-1]) <= 2 * margin:
        raise ValueError(
            f"image must be [*b, h, w, c] with h and w above {2 * margin}, got {shape}"
        )
    # As products with banded matrices: XLA convolves a single channel many times more slowly on a
    # CPU.
    image = jnp.asarray(image, jnp.float32)
    down, right = (_blur_matrix(size, weights, margin) for size in shape[-3:-1])
    return jnp.einsum("ih,...hwc,jw->...ijc", down, image, right, precision=lax.Precision.HIGHEST)


def _blur_matrix(size, weights, margin):
    """The banded matrix `[size - 2 * margin, size]` that blurs one axis."""
    kept = np.arange(margin, size - margin)
    offset = np.subtract.outer(kept, np.arange(size)) + _RADIUS
    inside = (offset >= 0) & (offset <= 2 * _RADIUS)
    return jnp.asarray(np.where(inside, weights[np.clip(offset, 0, 2 * _RADIUS)], 0), jnp.float32)

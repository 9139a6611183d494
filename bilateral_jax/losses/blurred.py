"""How far the colours of two pictures are apart once both are blurred.

The blur takes away texture, and a shift by a few pixels between two cameras' photos of a scene.
What lies beyond a picture counts as black in both.

Receives pictures [*b, h, w, c] from experiments.
Hands one value per example [*b] to training/step.py's weighted mean.

Reference: Ignatov et al. 2017, "DSLR-quality photos on mobile devices with deep convolutional
networks", section 3.1, and the published code.
"""

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from bilateral_jax.losses import reconstruction

BLURS = ("code", "paper")
_REACH = 10  # taps on either side of the middle


def color(prediction, target, *, blur="code", form="code"):
    """Adds up the squared differences of two blurred pictures.

    Args:
      prediction: float `[*b, h, w, c]`, not clipped.
      target: float `[*b, h, w, c]`.
      blur: as for `profile`.
      form: "code" is half the sum over pixels and channels; "paper" the whole sum.

    Returns:
      float32 `[*b]`; it grows with the number of pixels.

    Raises:
      ValueError: the shapes differ or have fewer than three axes, or an option is unknown.
    """
    if form not in ("code", "paper"):
        raise ValueError(f'form must be "code" or "paper", got {form!r}')
    reconstruction.check(prediction, target)
    # Blurring is linear: the difference needs it once.
    difference = _blur(jnp.asarray(prediction, jnp.float32) - target, profile(blur))
    total = jnp.square(difference).sum(axis=(-3, -2, -1))
    return 0.5 * total if form == "code" else total


def profile(blur) -> np.ndarray:
    """Gives the 21 taps of a blur; it applies them along rows and columns.

    Args:
      blur: "code": the published code's, which is a Gaussian of 4.707 pixels, sum 1; "paper": the
        square root of 0.053 times a Gaussian of variance 3 (the paper's figures, whose weights sum
        to 0.999 for this reading only); or a standard deviation in pixels, sum 1.

    Returns:
      float64 `[21]`.

    Raises:
      ValueError: neither of these, or not positive.
    """
    taps = np.arange(-_REACH, _REACH + 1)
    if isinstance(blur, str) and blur in BLURS:
        if blur == "paper":
            return np.sqrt(0.053) * np.exp(-(taps**2) / 6.0)
        # The square root of the mass of a normal distribution in 21 bins that span +-(3 + 1/6).
        edges = np.linspace(-3 - 1 / 6, 3 + 1 / 6, 2 * _REACH + 2)
        mass = np.diff([0.5 * (1.0 + math.erf(edge / math.sqrt(2.0))) for edge in edges])
        weights = np.sqrt(mass)
    elif not isinstance(blur, str) and blur > 0:
        weights = np.exp(-(taps**2) / (2.0 * float(blur) ** 2))
    else:
        raise ValueError(f"blur must be one of {BLURS} or a positive deviation, got {blur!r}")
    return weights / weights.sum()


def _blur(image, weights):
    """Blurs `[*b, h, w, c]` along both axes, zeros beyond it.

    As products with band matrices: XLA convolves a single channel many times more slowly on a CPU.
    """
    down, right = (_band(size, weights) for size in image.shape[-3:-1])
    return jnp.einsum("ih,...hwc,jw->...ijc", down, image, right, precision=lax.Precision.HIGHEST)


def _band(size, weights):
    """The matrix `[size, size]` that blurs one axis."""
    offset = np.subtract.outer(np.arange(size), np.arange(size)) + _REACH
    inside = (offset >= 0) & (offset <= 2 * _REACH)
    return jnp.asarray(np.where(inside, weights[np.clip(offset, 0, 2 * _REACH)], 0), jnp.float32)

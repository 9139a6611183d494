"""Penalties of a critic's gradient with respect to the images it scores.

With n for the Euclidean norm of the gradient of one image's score, over all its pixels and
channels:

    form             value           used by
    "one_sided"      max(0, n - 1)   Deep Photo Enhancer and DACAL, between real and generated
    "two_sided"      (n - 1)^2       WGAN-GP, between real and generated
    "zero_centred"   n^2             R1, at real images

References: Gulrajani et al. 2017, "Improved training of Wasserstein GANs", equation 3; Chen, Wang,
Kao and Chuang 2018, "Deep Photo Enhancer", section 4 and the published code; Mescheder, Geiger and
Nowozin 2018, "Which training methods for GANs do actually converge?", equation 9.
"""

import jax
import jax.numpy as jnp

from bilateral_jax.losses import adversarial
from bilateral_jax.ops import roots

FORMS = ("one_sided", "two_sided", "zero_centred")


def penalty(critic, images, *, form) -> jax.Array:
    """Penalty of a critic's gradient at images.

    Args:
      critic: `images -> scores`, `[b]`, `[b, 2]` or `[b, h, w]` as `adversarial` takes them, each
        example on its own: its weights may not depend on the other images, as batch norm does.
      images: float `[b, ...]`, mostly `[b, h, w, c]`: real ones, or those of `interpolate`.
      form: one of `FORMS`.

    Returns:
      float32 `[b]`. Derivatives in what critic and images depend on are finite everywhere, where
      the gradient is 0, too.

    Raises:
      TypeError: the images are not float.
      ValueError: an unknown form, or scores that do not fit the images.
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {FORMS}, got {form!r}")
    images = jnp.asarray(images)
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise TypeError(f"images must be float with values in [0, 1], got {images.dtype}")

    def total(images):
        scores = adversarial.example_scores(critic(images))
        if images.ndim < 2 or scores.shape != images.shape[:1]:
            raise ValueError(
                "critic must give one score or one map of scores for each of the images [b, ...], "
                f"got scores of {scores.shape[0]} examples for images {images.shape}"
            )
        return scores.sum()

    gradient = jax.grad(total)(images).astype(jnp.float32)
    squared = jnp.square(gradient).sum(axis=tuple(range(1, gradient.ndim)))
    if form == "zero_centred":
        return squared
    excess = roots.sqrt(squared) - 1
    return jnp.maximum(0.0, excess) if form == "one_sided" else jnp.square(excess)


def interpolate(real, generated, fraction) -> jax.Array:
    """Images between real and generated ones.

    Args:
      real: float `[b, ...]`, mostly `[b, h, w, c]`.
      generated: float of the same shape.
      fraction: float `[b]` in [0, 1]: how much of the real image is in the result, mostly uniformly
        random.

    Returns:
      `[b, ...]`: `fraction * real + (1 - fraction) * generated`.

    Raises:
      ValueError: the images differ in shape, or there is not one fraction for each.
    """
    shape = jnp.shape(real)
    if shape != jnp.shape(generated):
        raise ValueError(
            f"real and generated images must have one shape, got {shape} and {jnp.shape(generated)}"
        )
    if not shape or jnp.shape(fraction) != shape[:1]:
        raise ValueError(
            f"fraction must be [b], one number for each image of {shape}, got {jnp.shape(fraction)}"
        )
    fraction = jnp.reshape(fraction, (-1,) + (1,) * (len(shape) - 1))
    return fraction * real + (1 - fraction) * generated

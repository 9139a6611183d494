"""Content loss: difference of two images in the features of a network.

Reference: Ignatov et al. 2017, "DSLR-quality photos on mobile devices with deep convolutional
networks", section 3.1, and the published code (one layer of VGG-19).
"""

import math

import jax
import jax.numpy as jnp

from bilateral_jax.losses import reconstruction
from bilateral_jax.ops import masks


def content_loss(prediction, target, *, features, form="code", valid=None) -> jax.Array:
    """Difference of the features of two images, summed over the layers.

    Args:
      prediction: float `[*b, h, w, c]`, not clipped.
      target: float `[*b, h, w, c]`.
      features: `image [*b, h, w, c] -> [*b, h', w', c']`, or a list or tuple of these, one per
        layer; DPED's is VGG-19 at `relu5_4`. How large the value is depends on the scale of the
        features, so other weights of a network need another weight in the sum of losses.
      form: of a layer; "code": mean squared difference of the features; "paper": the Euclidean
        norm of the difference divided by the number of features.
      valid: must be None: features near padding depend on it.

    Returns:
      float32 `[*b]`. The gradient is finite everywhere.

    Raises:
      ValueError: the shapes differ or have fewer than three axes, an unknown form, no layers,
        features with other leading axes, or `valid` is given.
    """
    if form not in ("code", "paper"):
        raise ValueError(f'form must be "code" or "paper", got {form!r}')
    masks.refuse(valid, "content_loss", "features near padding depend on it")
    reconstruction.check_pair(prediction, target)
    pairs = zip(_layers(features(prediction)), _layers(features(target)), strict=True)
    differences = [predicted - true for predicted, true in pairs]
    for difference in differences:
        leading = difference.shape[:-3] != prediction.shape[:-3]
        if difference.ndim != jnp.ndim(prediction) or leading:
            raise ValueError(
                f"features must give [*b, h, w, c] with *b = {prediction.shape[:-3]}, "
                f"got {difference.shape}"
            )
    return sum(_distance(difference, form) for difference in differences)


def _layers(computed):
    layers = computed if isinstance(computed, list | tuple) else [computed]
    if not layers:
        raise ValueError("features must give at least one layer, got none")
    return layers


def _distance(difference, form):
    if form == "code":
        return jnp.square(difference.astype(jnp.float32)).mean((-3, -2, -1))
    return reconstruction.l2_norm(difference) / math.prod(difference.shape[-3:])

"""Perceptual distance in the features of a network (the arithmetic of LPIPS)."""

import jax
import jax.numpy as jnp

from bilateral_jax.metrics import checks
from bilateral_jax.ops import masks


def perceptual(
    prediction, target, *, features, weights=None, data_range=1.0, valid=None
) -> jax.Array:
    """Perceptual distance of two images in the features of a network, 0 for equal images.

    As LPIPS computes it: per layer, features are scaled to unit length along the channels, their
    squared differences weighted per channel and summed, and averaged over positions; layers are
    added. No network is included, so values are comparable only for the same features and weights.

    Args:
      prediction: float `[*b, h, w, c]`, values in [0, data_range].
      target: float `[*b, h, w, c]`.
      features: `image [*b, h, w, c] -> sequence of [*b, h_l, w_l, c_l]`, one per layer. It
        takes values in [0, 1] and scales them as its network expects.
      weights: one `[c_l]` per layer, at least 0 for a distance; None takes 1 for every channel.
      data_range: the value of white in both images: 255 for 8-bit values as floats.
      valid: must be None: features near padding depend on it.

    Returns:
      float32 `[*b]`.

    Raises:
      ValueError: the shapes differ, `features` gives no layers or other leading axes, `weights` do
        not fit them, values cannot be in the range, or `valid` is given.
      TypeError: an argument holds integers, or `features` gives no sequence.

    Reference: Zhang et al. 2018, "The unreasonable effectiveness of deep features as a perceptual
    metric", section 3.
    """
    masks.refuse(valid, "perceptual", "features near padding depend on it")
    prediction, target, _ = checks.image_pair(prediction, target, data_range=data_range)
    layers = [_layers(features, image) for image in (prediction, target)]
    weights = _weights(weights, layers[0])
    distance = jnp.zeros(prediction.shape[:-3], jnp.float32)
    for predicted, true, weight in zip(*layers, weights, strict=True):
        squares = jnp.square(_unit(predicted) - _unit(true)) * weight.reshape(
            (1,) * (true.ndim - 1) + weight.shape
        )
        distance += squares.sum(axis=-1).mean(axis=-1).mean(axis=-1)
    return distance


def _layers(features, image):
    layers = features(image)
    if not isinstance(layers, list | tuple):
        raise TypeError(
            f"features must give a list or tuple of layers, got {type(layers).__name__}"
        )
    if not layers:
        raise ValueError("features must give at least one layer, got none")
    for index, layer in enumerate(layers):
        if jnp.ndim(layer) != image.ndim or jnp.shape(layer)[:-3] != image.shape[:-3]:
            raise ValueError(
                f"layer {index} of features must be {[*image.shape[:-3], 'h', 'w', 'c']}, "
                f"got shape {jnp.shape(layer)}"
            )
    return [jnp.asarray(layer, jnp.float32) for layer in layers]


def _weights(weights, layers):
    if weights is None:
        return [jnp.ones(layer.shape[-1:], jnp.float32) for layer in layers]
    if len(weights) != len(layers):
        raise ValueError(
            f"weights must hold one array per layer of features, {len(layers)}; got {len(weights)}"
        )
    for index, (weight, layer) in enumerate(zip(weights, layers, strict=True)):
        if jnp.shape(weight) != layer.shape[-1:]:
            raise ValueError(
                f"weights[{index}] must have shape {layer.shape[-1:]}, one value per channel; "
                f"got {jnp.shape(weight)}"
            )
    return [jnp.asarray(weight, jnp.float32) for weight in weights]


def _unit(layer):
    """Scales to unit length along the channels; a position without features stays 0."""
    square = jnp.square(layer).sum(axis=-1, keepdims=True)
    empty = square == 0
    return layer / (jnp.sqrt(jnp.where(empty, 1.0, square)) + 1e-10)

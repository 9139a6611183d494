"""NIMA: predicts the distribution of human scores, 1 to 10, of a photo.

An ImageNet classifier whose last layer is replaced by ten outputs: the probability of each score.
The distribution's mean is the predicted score, its standard deviation the disagreement. Everything
from the pixels of a photo of any size to the score is differentiable, so a trained network can be
the critic in the loss of one that enhances.

Reference: Talebi and Milanfar 2018, "NIMA: Neural image assessment".
"""

import jax
import jax.numpy as jnp

from bilateral_jax import pixels as pixels_lib
from bilateral_jax import resize as resize_lib
from bilateral_jax.models import nima_networks
from bilateral_jax.ops import roots

SCORES = nima_networks.SCORES


def distribution(model, image, *, method: str | None = None) -> jax.Array:
    """Predicts the distribution of scores of photos of any size.

    The whole photo is resized to the network's square input, whatever its shape; dropout is off and
    the batch norms use their moving statistics. With `method="antialias"` the gradient reaches
    every pixel, as a loss needs.

    Args:
      model: a `Model` of a network of `nima_networks`.
      image: float `[*b, h, w, 3]` in [0, 1].
      method: how to resize, see `resize`; None for the method that the network was trained with.

    Returns:
      float32 `[*b, 10]`, probabilities that sum to 1.

    Raises:
      TypeError: integer image.
      ValueError: the image is not `[*b, h, w, 3]`, or an unknown method.
    """
    module = model.module
    small = resize(image, size=module.input_size, method=method or module.resize)
    logits = model.apply(small.reshape(-1, *small.shape[-3:]))
    return jax.nn.softmax(logits).reshape(*small.shape[:-3], SCORES)


@jax.jit
def of_squares(model, pixels) -> jax.Array:
    """Predicts the distributions of scores of square images, compiled.

    Args:
      model: as for `distribution`.
      pixels: uint8 `[b, n, n, 3]`.

    Returns:
      float32 `[b, 10]`.
    """
    return jax.nn.softmax(model.apply(pixels_lib.to_float(pixels)))


def mean_score(model, image, *, method: str | None = "antialias") -> jax.Array:
    """Predicts the mean score of photos, for a loss.

    Args:
      model: as for `distribution`.
      image: as for `distribution`.
      method: as for `distribution`; by default the one that every pixel contributes to.

    Returns:
      float32 `[*b]` in [1, 10].

    Raises:
      TypeError: as `distribution`.
      ValueError: as `distribution`.
    """
    return mean(distribution(model, image, method=method))


def mean(probabilities) -> jax.Array:
    """Computes the mean of distributions of the scores 1, 2, ...

    Args:
      probabilities: float `[*b, n]`, each summing to 1.

    Returns:
      float32 `[*b]`.
    """
    probabilities = jnp.asarray(probabilities, jnp.float32)
    return jnp.sum(probabilities * _scores(probabilities), axis=-1)


def deviation(probabilities) -> jax.Array:
    """Computes the standard deviation of distributions of the scores 1, 2, ...

    Args:
      probabilities: float `[*b, n]`, each summing to 1.

    Returns:
      float32 `[*b]`; its gradient is 0 where one score has probability 1.
    """
    probabilities = jnp.asarray(probabilities, jnp.float32)
    squares = jnp.square(_scores(probabilities) - mean(probabilities)[..., None])
    return roots.sqrt(jnp.sum(probabilities * squares, axis=-1))


def resize(image, *, size: int, method: str = "antialias") -> jax.Array:
    """Resizes photos to a square, whatever their shape.

    Args:
      image: float `[*b, h, w, 3]` in [0, 1].
      size: side of the square.
      method: "nearest" (as `PIL.Image.resize` with `NEAREST`, which the published networks were
        trained with) or "antialias" (PIL's `BILINEAR`, unrounded); see `bilateral_jax/resize.py`.

    Returns:
      float32 `[*b, size, size, 3]`.

    Raises:
      TypeError: integer image.
      ValueError: the image is not `[*b, h, w, 3]`, or an unknown method.
    """
    image = jnp.asarray(image)
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise TypeError(f"image must be float with values in [0, 1], got {image.dtype}")
    if image.ndim < 3 or image.shape[-1] != 3 or 0 in image.shape[-3:]:
        raise ValueError(f"image must be [*b, h, w, 3], got {tuple(image.shape)}")
    if method not in resize_lib.PILLOW_METHODS:
        raise ValueError(f"method must be one of {resize_lib.PILLOW_METHODS}, got {method!r}")
    return resize_lib.resize(image.astype(jnp.float32), size, method=method)


def _scores(probabilities):
    """1, 2, ..., n, with the rank of `probabilities`."""
    count = probabilities.shape[-1]
    return jnp.arange(1.0, count + 1.0).reshape((1,) * (probabilities.ndim - 1) + (count,))

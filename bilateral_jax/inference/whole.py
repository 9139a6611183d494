"""Enhancement of an image in one piece: for small images, and networks without another method."""

import jax
import numpy as np

from bilateral_jax.inference import tiles


def enhance(model, image, *, method=None, tile_rows=None, conditions=()):
    """Enhances an image in one piece; see `enhancement.enhance`.

    Args:
      model: a model of a network with a method `enhance`.
      image: `[h, w, 3]`, checked.
      method: not used.
      tile_rows: not used.
      conditions: numbers that the network sees beside every pixel.

    Returns:
      `[h, w, 3]` of the image's dtype.

    Raises:
      ValueError: an image of integers for which the network gives NaN, or a network that gives an
        image of another size.
    """
    del method, tile_rows
    pixels, has_nan = _enhance(model, image, conditions)
    tiles.check_not_nan(has_nan)
    return np.asarray(pixels)


@jax.jit
def _enhance(model, image, conditions):
    inputs = tiles.network_input(image, conditions)
    result = model.apply(inputs, method="enhance")[0]
    if result.shape != image.shape:
        raise ValueError(
            f"{type(model.module).__name__} gives an image of shape {result.shape} for one of "
            f"{image.shape}; a network that enhances images must keep their size"
        )
    return tiles.to_pixels(result, image.dtype)

"""Enhancement pixel by pixel: parameters from samples of the image, then pieces of its pixels.

All pieces have one size, whatever the image's: one compiled function serves images of every size.
"""

import jax
import numpy as np

from bilateral_jax import pixels as pixels_lib
from bilateral_jax.inference import tiles

# Features of one piece: 2 MB, so that they stay in the cache of a CPU (pieces of 16 MB take NeurOp
# twice as long). Other devices take more at a time.
_FEATURES = {"cpu": 1 << 19}
_FEATURES_ELSEWHERE = 1 << 24
_LEAST_PIXELS = 1 << 10


def enhance(model, image, *, method, tile_rows, conditions):
    """Enhances an image pixel by pixel; see `enhancement.enhance`.

    Args:
      model: a model whose network declares `inference_methods.ByPixel`.
      image: `[h, w, 3]`, checked.
      method: what it declares.
      tile_rows: rows of a piece, or None.
      conditions: empty.

    Returns:
      `[h, w, 3]` of the image's dtype.
    """
    del conditions
    parameters = predict(model, image)
    colors = image.reshape(-1, 3)
    count = _piece(len(colors), method, tile_rows and tile_rows * image.shape[1])
    out = np.empty_like(colors)

    def rendered():
        for start in range(0, len(colors), count):
            piece = colors[start : start + count]
            padded = np.pad(piece, ((0, count - len(piece)), (0, 0)))
            yield start, _render(model, padded, parameters)

    for start, piece in tiles.one_ahead(rendered()):
        part = out[start : start + count]
        part[:] = np.asarray(piece)[: len(part)]
    return out.reshape(image.shape)


def predict(model, image):
    """Predicts the parameters of an image, such as the strengths of NeurOp's operators.

    Args:
      model: a model whose network declares `inference_methods.ByPixel`.
      image: `[h, w, 3]`, uint8, uint16 or float in [0, 1].

    Returns:
      A pytree of arrays, as the network's `parameters` returns them.
    """
    samples = model.module.samples(np.asarray(image))
    return _parameters(model, samples)


def _piece(pixels, method, asked):
    """Returns the pixels of a piece: a power of two, or as many as are asked for."""
    if asked:
        return min(asked, pixels)
    features = _FEATURES.get(jax.default_backend(), _FEATURES_ELSEWHERE)
    most = max(features // method.features, _LEAST_PIXELS)
    return min(most, max(1 << (pixels - 1).bit_length(), _LEAST_PIXELS))


@jax.jit
def _parameters(model, samples):
    return model.apply(samples, method="parameters")


@jax.jit
def _render(model, colors, parameters):
    out = model.apply(pixels_lib.as_float(colors), parameters, method="enhance_pixels")
    return pixels_lib.to_dtype(out, colors.dtype)

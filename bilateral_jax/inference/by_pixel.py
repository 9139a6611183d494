"""Enhancement pixel by pixel: parameters from samples of the image, then pieces of its pixels.

All pieces have one size, whatever the image's: one compiled function serves images of every size.
"""

import jax
import numpy as np

from bilateral_jax import pixels as pixels_lib
from bilateral_jax.inference import tiles
from bilateral_jax.models import inference_methods

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

    Raises:
      ValueError: an image of integers for which the network gives NaN.
    """
    del conditions
    asked = tile_rows and tile_rows * image.shape[1]
    out = _in_pieces(model, image.reshape(-1, 3), predict(model, image), method, asked)
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


def table(model, image, *, nodes: int = 33) -> np.ndarray:
    """Tabulates what a network does to the colours of an image, e.g. for a `.cube` file.

    Args:
      model: a model whose network declares `inference_methods.ByPixel`.
      image: `[h, w, 3]`, uint8, uint16 or float in [0, 1], from which the network predicts its
        parameters.
      nodes: of the table along each axis.

    Returns:
      float32 `[nodes, nodes, nodes, 3]`, axes red, green, blue, unbounded; the network's own
      numbers if it looks colours up in a table of as many nodes.

    Raises:
      ValueError: the network's result depends on more than a pixel's colour, or `nodes` is not an
        int of 2 or more.
    """
    method = inference_methods.declared(model.module)
    if not isinstance(method, inference_methods.ByPixel):
        raise ValueError(
            f"{type(model.module).__name__} has no colour table: its result at a pixel depends "
            "on more than the pixel's colour"
        )
    if not isinstance(nodes, int | np.integer) or nodes < 2:
        raise ValueError(f"nodes must be an int of 2 or more, got {nodes!r}")
    axis = np.linspace(0, 1, nodes, dtype=np.float32)
    colors = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    values = _in_pieces(model, colors.reshape(-1, 3), predict(model, image), method)
    return values.reshape(colors.shape)


def _in_pieces(model, colors, parameters, method, asked=None):
    """Enhances colours `[n, 3]`, `asked` of them at a time."""
    count = _piece(len(colors), method, asked)
    out = np.empty_like(colors)

    def rendered():
        for start in range(0, len(colors), count):
            piece = colors[start : start + count]
            padded = np.pad(piece, ((0, count - len(piece)), (0, 0)))
            yield start, _render(model, padded, parameters)

    for start, (piece, has_nan) in tiles.one_ahead(rendered()):
        tiles.check_not_nan(has_nan)
        part = out[start : start + count]
        part[:] = np.asarray(piece)[: len(part)]
    return out


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
    return tiles.to_pixels(out, colors.dtype)

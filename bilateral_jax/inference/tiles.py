"""Tiles of an image: cut with a border, converted to a network's input, written back."""

import jax.numpy as jnp
import numpy as np

from bilateral_jax import pixels as pixels_lib

# Features (pixels times channels) of a convolutional network in memory at a time: an image up to
# this many is computed in one piece, else in tiles.
FEATURES = 1 << 25
_BORDERS = {"repeat": "edge", "zeros": "constant"}


def cut(image, rows, columns, *, border: str):
    """Cuts a tile that may reach beyond the image.

    Args:
      image: `[h, w, c]`.
      rows: (first, past the last).
      columns: likewise.
      border: "repeat" (the image's border) or "zeros": what lies beyond the image.

    Returns:
      `[rows, columns, c]`, a view where it lies inside the image.
    """
    inside, beyond = [], []
    for (first, stop), size in zip((rows, columns), image.shape[:2], strict=True):
        inside.append(slice(max(first, 0), min(stop, size)))
        beyond.append((max(-first, 0), max(stop - size, 0)))
    part = image[tuple(inside)]
    return np.pad(part, (*beyond, (0, 0)), mode=_BORDERS[border]) if np.any(beyond) else part


def store(out, tile, *, top: int, left: int = 0):
    """Writes a tile into an image; what reaches beyond it below and to the right is dropped.

    Args:
      out: `[h, w, c]`, changed.
      tile: `[rows, columns, c]`.
      top: row of the image for the tile's first.
      left: column likewise.
    """
    part = out[top : top + tile.shape[0], left : left + tile.shape[1]]
    part[:] = np.asarray(tile)[: part.shape[0], : part.shape[1]]


def to_pixels(values, dtype):
    """Converts a network's result to the dtype of the image; traceable.

    Args:
      values: float array.
      dtype: floating, or uint8 or uint16, which have no pixel for NaN.

    Returns:
      (Array of `dtype`, bool scalar: whether a value became an integer that was NaN.)
    """
    if jnp.issubdtype(dtype, jnp.floating):
        return pixels_lib.to_dtype(values, dtype), jnp.bool_(False)
    return pixels_lib.to_dtype(values, dtype), jnp.isnan(values).any()


def check_not_nan(has_nan) -> None:
    """Refuses a network's result that is no image.

    Args:
      has_nan: bool scalar, as `to_pixels` returns it.

    Raises:
      ValueError: it is true.
    """
    if has_nan:
        raise ValueError(
            "the network gives NaN for this image; its weights or the conditions are not finite, "
            "or too large"
        )


def one_ahead(results):
    """Yields results one step late, so that the device computes one while another is copied.

    Args:
      results: iterator over results, whose arrays JAX computes asynchronously.
    """
    pending = next(results)
    for result in results:
        yield pending
        pending = result
    yield pending


def network_input(pixels, conditions):
    """Makes a network's input of pixels; traceable.

    Args:
      pixels: `[h, w, 3]`, integers or floats.
      conditions: numbers, each a constant channel behind the colours.

    Returns:
      float32 `[1, h, w, 3 + conditions]`.
    """
    values = pixels_lib.as_float(pixels)
    planes = [jnp.full((*values.shape[:2], 1), value, values.dtype) for value in conditions]
    return (jnp.concatenate([values, *planes], axis=-1) if planes else values)[None]

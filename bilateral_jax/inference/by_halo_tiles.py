"""Enhancement in overlapping tiles by fully convolutional networks.

All tiles of an image have one size, so each axis needs one compiled function: a tile that would
reach beyond the image is moved back inside instead of padded. `inference_methods.ByHaloTiles` says
when the result equals that of the whole image.
"""

import math

import jax
import numpy as np

from bilateral_jax import resize
from bilateral_jax.inference import tiles

_LEAST_SIDE = 64


def enhance(model, image, *, method, tile_rows, conditions):
    """Enhances an image in overlapping tiles; see `enhancement.enhance`.

    Args:
      model: a model whose network declares `inference_methods.ByHaloTiles`.
      image: `[h, w, 3]`, checked.
      method: what it declares.
      tile_rows: rows of a tile without its halo, or None.
      conditions: numbers that the network sees beside every pixel.

    Returns:
      `[h, w, 3]` of the image's dtype.
    """
    features = None
    if method.net_input_size is not None:
        features = _global_features(model, _lowres(image, method)[None])
    height, width = image.shape[:2]
    size = method.mirrored_size(height, width) if method.mirrored else (height, width)
    rows, columns = _tile_size(size, method, tile_rows)
    out = np.empty_like(image)

    def rendered():
        for top, bottom, first, last in tile_windows(size[0], rows, method=method):
            for left, right, begin, end in tile_windows(size[1], columns, method=method):
                if first >= height or begin >= width:
                    continue  # nothing but mirrored pixels
                pixels = _cut(image, (top, bottom), (left, right))
                tile = _render(model, pixels, features, conditions)
                kept = slice(first - top, last - top), slice(begin - left, end - left)
                yield first, begin, tile, kept

    for top, left, (tile, has_nan), kept in tiles.one_ahead(rendered()):
        tiles.check_not_nan(has_nan)
        tiles.store(out, np.asarray(tile)[kept], top=top, left=left)
    return out


def tile_windows(size: int, tile: int, *, method) -> list[tuple[int, int, int, int]]:
    """Divides one axis into windows of equal length that overlap by two halos.

    Args:
      size: pixels along the axis.
      tile: pixels of a window without its halos; at least one stride is taken.
      method: `inference_methods.ByHaloTiles`; windows start at multiples of its stride, and their
        length is the image's modulo the stride.

    Returns:
      (start, stop, first, last) of each window: where it lies, and which part of it is kept.
    """
    length = max(tile, method.stride) + 2 * method.halo
    length += (size - length) % method.stride
    if length >= size:
        return [(0, size, 0, size)]
    step = (length - 2 * method.halo) // method.stride * method.stride
    windows, first = [], 0
    for start in [*range(0, size - length, step), size - length]:
        stop = start + length
        last = size if stop == size else stop - method.halo
        windows.append((start, stop, first, last))
        first = last
    return windows


def _lowres(image, method):
    """Makes the low-res input `[n, n, 3]` of the global features."""
    side = method.net_input_size
    size = resize.fitted_size(*image.shape[:2], side) if method.mirrored else side
    small = resize.resize_pixels(image, size, method=method.lowres_method)
    return _cut(small, (0, side), (0, side))


def _cut(image, rows, columns):
    """Cuts a tile; what lies below the image or to its right is the image mirrored."""
    if rows[1] <= image.shape[0] and columns[1] <= image.shape[1]:
        return image[slice(*rows), slice(*columns)]
    row, column = (
        resize.mirrored_index(size, stop)[start:]
        for size, (start, stop) in zip(image.shape[:2], (rows, columns), strict=True)
    )
    return image[row[:, None], column]


def _tile_size(size, method, tile_rows):
    """Returns the rows and columns of a tile without its halo."""
    height, width = size
    pixels = max(tiles.FEATURES // method.features, 1)
    if tile_rows is None and height * width <= pixels:
        return height, width
    side = math.isqrt(pixels)
    rows = tile_rows or max(side - 2 * method.halo, _LEAST_SIDE)
    columns = pixels // (min(rows, height) + 2 * method.halo) - 2 * method.halo
    return rows, max(columns, _LEAST_SIDE)


@jax.jit
def _global_features(model, small):
    return model.apply(small, method="global_features")


@jax.jit
def _render(model, pixels, features, conditions):
    inputs = tiles.network_input(pixels, conditions)
    out = model.apply(inputs, features, method="enhance_tile")[0]
    return tiles.to_pixels(out, pixels.dtype)

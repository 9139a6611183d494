"""Resizing of images by area, linear and nearest-neighbour sampling, for NumPy and JAX.

Every method is a few weights per output pixel and axis (`weights`), applied to one axis after the
other. Training and inference therefore see the same low-resolution input.

Methods:
  nearest_legacy: pixel floor(i * h / n), TensorFlow 1's rule.
  nearest: the pixel under the centre of the output pixel, Pillow's NEAREST.
  area: the mean of the pixels under the output pixel, each weighted by the part covered; linear
    interpolation where the image is enlarged.
  antialias: a triangle filter as wide as the output pixel's spacing, Pillow's BILINEAR without its
    rounding.
  bilinear: linear interpolation between the two nearest pixels per axis, also where the image is
    reduced: PyTorch's interpolate(mode="bilinear", align_corners=False, antialias=False).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, lax

from bilateral_jax import pixels as pixels_lib

METHODS = ("nearest_legacy", "area", "nearest", "antialias", "bilinear")
PILLOW_METHODS = ("nearest", "antialias")  # Pillow's NEAREST and BILINEAR
# Output rows per product: the weights are banded, one dense product would multiply zeros.
_ROWS = 16


def weights(size: int, target: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Computes the weights of a resize along one axis.

    Args:
      size: input pixels along the axis.
      target: output pixels along the axis.
      method: one of `METHODS`.

    Returns:
      (int64 `[target]`, float32 `[target, taps]`): the first input pixel of every output pixel, and
      the weights of it and those after it, which sum to 1. Pixels beyond the input have weight 0.

    Raises:
      ValueError: unknown method.
    """
    outputs = np.arange(target, dtype=np.float64)
    if method == "nearest_legacy":
        positions = np.arange(target, dtype=np.float32) * np.float32(size / target)
        first = np.minimum(np.floor(positions).astype(np.int64), size - 1)
        return first, np.ones((target, 1), np.float32)
    if method == "nearest":
        first = np.floor((outputs + 0.5) * (size / target)).astype(np.int64)
        return first, np.ones((target, 1), np.float32)
    if method == "area" and target <= size:
        start, stop = outputs * size / target, (outputs + 1) * size / target
        first = np.floor(start).astype(np.int64)
        index = first[:, None] + np.arange(int((np.ceil(stop) - first).max()))
        covered = np.minimum(stop[:, None], index + 1) - np.maximum(start[:, None], index)
    elif method in ("area", "antialias", "bilinear"):
        width = 1.0 if method == "bilinear" else max(size / target, 1.0)
        centres = (outputs + 0.5) * size / target - 0.5
        if method != "antialias":
            centres = np.clip(centres, 0, size - 1)
        first = np.maximum(np.ceil(centres - width).astype(np.int64), 0)
        taps = 2 if method == "bilinear" else 2 * int(np.ceil(width)) + 1
        index = first[:, None] + np.arange(taps)
        covered = np.where(index < size, 1 - np.abs(centres[:, None] - index) / width, 0)
    else:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")
    covered = np.clip(covered, 0, None)
    return first, (covered / covered.sum(1, keepdims=True)).astype(np.float32)


def resize(image, size, *, method: str) -> jax.Array:
    """Resizes images in JAX; the aspect ratio is not kept.

    Args:
      image: float `[*b, h, w, c]`, any height and width from 1.
      size: side of the square result, or (height, width).
      method: one of `METHODS`.

    Returns:
      `[*b, height, width, c]` of the image's dtype.

    Raises:
      ValueError: unknown method.
    """
    for axis, target in zip((-3, -2), _checked_size(size, method)):
        extent = image.shape[axis]
        if extent == target:
            continue  # every method is the identity
        if export.is_symbolic_dim(extent) or export.is_symbolic_dim(target):
            image = _resize_symbolic(image, axis, target, method)
        elif method in ("nearest_legacy", "nearest"):
            image = jnp.take(image, weights(extent, target, method)[0], axis=axis)
        else:
            image = _multiply(matrix(extent, target, method), image, axis)
    return image


def shrink(image, factor: int) -> jax.Array:
    """Reduces images in JAX by a whole factor, each pixel the mean of the area that it covers.

    Args:
      image: float `[*b, h, w, c]`.
      factor: at least 1, which returns the image.

    Returns:
      `[*b, max(h // factor, 1), max(w // factor, 1), c]` of the image's dtype.

    Raises:
      ValueError: the factor is not a positive int.
    """
    if not isinstance(factor, int) or isinstance(factor, bool) or factor < 1:
        raise ValueError(f"factor must be a positive int, got {factor!r}")
    return resize(image, [max(side // factor, 1) for side in image.shape[-3:-1]], method="area")


def resize_pixels(image, size, *, method: str = "area") -> np.ndarray:
    """Resizes an image in NumPy, reading it a few rows at a time.

    Args:
      image: uint8, uint16 or float `[*b, h, w, c]`; each image is resized by itself.
      size: side of the square result, or (height, width); the aspect ratio is not kept.
      method: one of `METHODS`.

    Returns:
      float32 `[*b, height, width, c]`; integer pixels are scaled to [0, 1].

    Raises:
      TypeError: another dtype.
      ValueError: unknown method.
    """
    image = np.asarray(image)
    height, width = _checked_size(size, method)
    if image.ndim > 3:
        return np.stack([resize_pixels(each, size, method=method) for each in image])
    if image.shape[:2] == (height, width):
        return pixels_lib.as_float(image)
    if method in ("nearest_legacy", "nearest"):
        rows, columns = (weights(*each, method)[0] for each in zip(image.shape, (height, width)))
        return pixels_lib.as_float(image[rows[:, None], columns])
    white = np.float32(pixels_lib.white(image.dtype))
    small = _averaged_rows(image, height, method)
    small = _averaged_rows(small.swapaxes(0, 1), width, method).swapaxes(0, 1)
    return np.ascontiguousarray(small) / white


def fitted_size(height: int, width: int, long_side: int) -> tuple[int, int]:
    """Returns the size of an image whose longer side becomes `long_side`, with its aspect ratio.

    Args:
      height: rows of the image.
      width: columns.
      long_side: the longer side of the result; smaller images are enlarged.
    """
    scale = long_side / max(height, width)
    return tuple(max(1, int(side * scale + 0.5)) for side in (height, width))


def mirrored_index(size: int, target: int) -> np.ndarray:
    """Returns which pixel an image has at every position when it is continued by mirroring.

    Args:
      size: pixels along the axis.
      target: positions along the continued axis.

    Returns:
      int64 `[target]`: 0, 1, ..., size - 1, size - 1, ..., 0, 0, 1, ...; NumPy's "symmetric".
    """
    position = np.arange(target) % (2 * size)
    return np.minimum(position, 2 * size - 1 - position)


def matrix(size: int, target: int, method: str) -> np.ndarray:
    """Returns the weights of a resize along one axis as a dense float32 matrix `[target, size]`.

    Args:
      size: as for `weights`.
      target: as for `weights`.
      method: as for `weights`.
    """
    first, taps = weights(size, target, method)
    index = first[:, None] + np.arange(taps.shape[1])
    dense = np.zeros((target, max(size, int(index.max()) + 1)), np.float32)
    np.put_along_axis(dense, index, taps, 1)
    return dense[:, :size]


def _resize_symbolic(image, axis, target, method):
    """Resizes an axis of symbolic length, in a program exported for any size; float32 inside."""
    size = image.shape[axis]
    extent = jnp.asarray(size, jnp.float32)
    outputs = jnp.arange(target, dtype=jnp.float32)[:, None]
    index = jnp.arange(size, dtype=jnp.float32)[None]
    if method in ("nearest_legacy", "nearest"):
        shift = 0.5 if method == "nearest" else 0.0
        first = jnp.minimum(jnp.floor((outputs[:, 0] + shift) * (extent / target)), extent - 1)
        return jnp.take(image, first.astype(jnp.int32), axis=axis)
    width = 1.0 if method == "bilinear" else jnp.maximum(extent / target, 1.0)
    centres = (outputs + 0.5) * extent / target - 0.5
    if method != "antialias":
        centres = jnp.clip(centres, 0, extent - 1)
    covered = 1 - jnp.abs(centres - index) / width
    if method == "area":
        start, stop = outputs * extent / target, (outputs + 1) * extent / target
        part = jnp.minimum(stop, index + 1) - jnp.maximum(start, index)
        covered = jnp.where(target <= extent, part, covered)
    covered = jnp.clip(covered, 0, None)
    dense = (covered / covered.sum(1, keepdims=True)).astype(image.dtype)
    source = jnp.moveaxis(image, axis, -2)
    out = jnp.matmul(dense, source, precision=lax.Precision.HIGHEST)
    return jnp.moveaxis(out, -2, axis)


def both_sides(size) -> tuple[int, int]:
    """Returns (height, width) of a size given as one side or as both."""
    height, width = (size, size) if np.ndim(size) == 0 else size
    return tuple(n if export.is_symbolic_dim(n) else int(n) for n in (height, width))


def _checked_size(size, method):
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")
    return both_sides(size)


def _multiply(dense, image, axis):
    """Multiplies one axis by a banded matrix, a few output rows at a time."""
    parts = []
    for first in range(0, len(dense), _ROWS):
        rows = dense[first : first + _ROWS]
        used = np.flatnonzero(rows.any(0))
        start, stop = int(used[0]), int(used[-1]) + 1
        source = jnp.moveaxis(image, axis, -2)[..., start:stop, :]
        part = jnp.matmul(
            rows[:, start:stop].astype(image.dtype), source, precision=lax.Precision.HIGHEST
        )
        parts.append(part)
    return jnp.moveaxis(jnp.concatenate(parts, -2), -2, axis)


def _averaged_rows(image, target, method):
    """Resizes the first axis; integers are not scaled."""
    extent, *rest = image.shape
    if extent == target:
        return image.astype(np.float32)
    out = np.empty((target, *rest), np.float32)
    for row, (first, taps) in enumerate(zip(*weights(extent, target, method))):
        used = np.flatnonzero(taps)
        source = image[first + used[0] : first + used[-1] + 1].astype(np.float32)
        taps = taps[used[0] : used[-1] + 1]
        out[row] = (taps @ source.reshape(len(taps), -1)).reshape(rest)
    return out

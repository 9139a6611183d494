"""Box filter and minimum filter, in time logarithmic in the radius.

A window of 2^n pixels is two adjacent ones of 2^(n-1), so a window of any width takes
logarithmically many additions of shifted planes. Unlike differences of running sums this loses no
digits. Windows are cropped at the border of the image.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax.filters import arguments
from bilateral_jax.ops import checks


def mean(plane, radius: int) -> jax.Array:
    """Box filter: the mean over `2 radius + 1` rows and columns around each pixel.

    Args:
      plane: float `[*b, h, w]`.
      radius: of the window in pixels; 0 is the identity.

    Returns:
      `[*b, h, w]`, same dtype.

    Raises:
      TypeError: `plane` is not of a floating dtype.
      ValueError: fewer than two axes, no pixels, or a radius that is not an int of at least 0.
    """
    plane = checks.floating("plane", plane, 2, "[*b, h, w]")
    radius = arguments.integer("radius", radius)
    wide = plane.astype(jnp.promote_types(plane.dtype, jnp.float32))
    for axis in (-1, -2):
        index = np.arange(plane.shape[axis])
        first, last = np.maximum(index - radius, 0), np.minimum(index + radius, index[-1])
        count = (last - first + 1).astype(wide.dtype)
        total = _reduce(wide, radius, jnp.add, 0.0, axis)
        wide = total / count.reshape((1,) * (plane.ndim + axis) + (-1,) + (1,) * (-1 - axis))
    return wide.astype(plane.dtype)


def minimum(plane, radius: int) -> jax.Array:
    """Minimum filter (erosion): the minimum over `2 radius + 1` rows and columns around each pixel.

    Args:
      plane: float `[*b, h, w]`.
      radius: of the window in pixels; 0 is the identity.

    Returns:
      `[*b, h, w]`, same dtype.

    Raises:
      TypeError: `plane` is not of a floating dtype.
      ValueError: fewer than two axes, no pixels, or a radius that is not an int of at least 0.
    """
    plane = checks.floating("plane", plane, 2, "[*b, h, w]")
    radius = arguments.integer("radius", radius)
    for axis in (-1, -2):
        plane = _reduce(plane, radius, jnp.minimum, jnp.inf, axis)
    return plane


def _reduce(values, radius, function, identity, axis):
    """Reduces the 2 radius + 1 values around each position of one axis."""
    size = values.shape[axis]
    # A wider window would only reach beyond the border.
    radius = min(radius, size - 1)
    width = 2 * radius + 1
    pad = [(0, 0)] * values.ndim
    pad[axis] = (radius, radius)
    values = jnp.pad(values, pad, constant_values=identity)

    def section(array, start, length):
        index = [slice(None)] * array.ndim
        index[axis] = slice(start, start + length)
        return array[tuple(index)]

    # `values` holds the reductions of `span` values; the bits of the width say which to combine.
    result, start, span = None, 0, 1
    while True:
        if width & span:
            window = section(values, start, size)
            result = window if result is None else function(result, window)
            start += span
        if 2 * span > width:
            return result
        length = values.shape[axis] - span
        values = function(section(values, 0, length), section(values, span, length))
        span *= 2

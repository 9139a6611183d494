"""Means and minima over square windows around every pixel, as fast for wide windows as for small.

A window of 2^n pixels is two of 2^(n-1) beside each other, so a window of any width is reached in
logarithmically many additions of shifted planes. Unlike differences of running sums this loses no
digits, and unlike a loop over the taps it does not slow down with the radius. Windows are cut off
at the border of the picture.

Receives planes from `filters/guided.py` and `filters/dark_channel.py`.
Hands planes of the same size back.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from bilateral_jax.ops import checks


def mean(plane, radius: int):
    """Averages over the `2 radius + 1` rows and columns around a pixel, as far as there are any.

    Args:
      plane: float `[*b, h, w]`.
      radius: of the window, in pixels; 0 changes nothing.

    Returns:
      `[*b, h, w]`, same dtype.

    Raises:
      TypeError: `plane` is not of a floating dtype.
      ValueError: fewer than two axes, no pixels, or a radius that is no int of at least 0.
    """
    plane = checks.floating("plane", plane, 2, "[*b, h, w]")
    radius = whole("radius", radius)
    wide = plane.astype(jnp.promote_types(plane.dtype, jnp.float32))
    for axis in (-1, -2):
        places = np.arange(plane.shape[axis])
        first, last = np.maximum(places - radius, 0), np.minimum(places + radius, places[-1])
        count = (last - first + 1).astype(wide.dtype)
        total = _along(wide, radius, jnp.add, 0.0, axis)
        wide = total / count.reshape((1,) * (plane.ndim + axis) + (-1,) + (1,) * (-1 - axis))
    return wide.astype(plane.dtype)


def minimum(plane, radius: int):
    """Takes the least value among the `2 radius + 1` rows and columns around a pixel.

    Args:
      plane: float `[*b, h, w]`.
      radius: of the window, in pixels; 0 changes nothing.

    Returns:
      `[*b, h, w]`, same dtype.

    Raises:
      TypeError: `plane` is not of a floating dtype.
      ValueError: fewer than two axes, no pixels, or a radius that is no int of at least 0.
    """
    plane = checks.floating("plane", plane, 2, "[*b, h, w]")
    radius = whole("radius", radius)
    for axis in (-1, -2):
        plane = _along(plane, radius, jnp.minimum, jnp.inf, axis)
    return plane


def whole(name: str, value, *, least: int = 0) -> int:
    """Checks a size that must be an int.

    Args:
      name: of the argument, for the message.
      value: what came.
      least: the smallest that is accepted.

    Returns:
      The value.

    Raises:
      ValueError: it is no int, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an int of at least {least}, got {value!r}")
    return value


def _along(values, radius, join, nothing, axis):
    """Joins the 2 radius + 1 values around each place of one axis."""
    size = values.shape[axis]
    # Beyond the far border there is nothing that a wider window could find.
    radius = min(radius, size - 1)
    width = 2 * radius + 1
    pad = [(0, 0)] * values.ndim
    pad[axis] = (radius, radius)
    values = jnp.pad(values, pad, constant_values=nothing)

    def part(array, start, length):
        index = [slice(None)] * array.ndim
        index[axis] = slice(start, start + length)
        return array[tuple(index)]

    # `values` holds what is joined from `span` places on; a bit of the width takes its share.
    result, start, span = None, 0, 1
    while True:
        if width & span:
            share = part(values, start, size)
            result = share if result is None else join(result, share)
            start += span
        if 2 * span > width:
            return result
        length = values.shape[axis] - span
        values = join(part(values, 0, length), part(values, span, length))
        span *= 2

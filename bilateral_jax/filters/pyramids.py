"""Gaussian and Laplacian pyramids over the last two axes.

A level has half the rows and columns of the one below, rounded up. Borders repeat the edge pixel,
so a constant plane stays constant on every level.

Receives planes from `filters/local_laplacian.py`.
Hands pyramids back to it.
"""

from __future__ import annotations

import jax.numpy as jnp


def shrink(plane):
    """Halves a plane: the filter (1 4 6 4 1) / 16 along both axes, then every second pixel.

    Args:
      plane: float `[*b, h, w]`.

    Returns:
      `[*b, ceil(h / 2), ceil(w / 2)]`.

    Reference: Burt and Adelson 1983, section II (with a = 3/8).
    """
    return _shrink_last(_shrink_last(plane).swapaxes(-1, -2)).swapaxes(-1, -2)


def enlarge(plane, height: int, width: int):
    """Doubles a plane with the same filter, scaled so that a constant stays constant.

    Args:
      plane: float `[*b, ceil(height / 2), ceil(width / 2)]`.
      height: rows of the result.
      width: columns of the result.

    Returns:
      `[*b, height, width]`.

    Reference: Burt and Adelson 1983, section III.
    """
    tall = _enlarge_last(plane.swapaxes(-1, -2), height).swapaxes(-1, -2)
    return _enlarge_last(tall, width)


def gaussian(plane, levels: int) -> list:
    """Stacks ever smaller copies of a plane.

    Args:
      plane: float `[*b, h, w]`.
      levels: how many times to halve.

    Returns:
      `levels + 1` planes; the first is the plane itself.
    """
    stack = [plane]
    for _ in range(levels):
        stack.append(shrink(stack[-1]))
    return stack


def laplacian(plane, levels: int) -> list:
    """Splits a plane into bands of detail and a small rest.

    Args:
      plane: float `[*b, h, w]`.
      levels: number of bands.

    Returns:
      `levels` bands, finest first, then the rest.
    """
    return differences(gaussian(plane, levels))


def differences(stack: list) -> list:
    """Turns a Gaussian pyramid into the Laplacian pyramid of the same plane.

    Args:
      stack: planes from `gaussian`.

    Returns:
      As many planes: the bands, then the rest.
    """
    bands = [fine - enlarge(coarse, *fine.shape[-2:]) for fine, coarse in zip(stack, stack[1:])]
    return [*bands, stack[-1]]


def collapse(bands: list):
    """Adds a Laplacian pyramid up to a plane: the inverse of `laplacian`.

    Args:
      bands: planes from `laplacian`.

    Returns:
      `[*b, h, w]`.
    """
    plane = bands[-1]
    for band in reversed(bands[:-1]):
        plane = band + enlarge(plane, *band.shape[-2:])
    return plane


def full_depth(height: int, width: int) -> int:
    """Counts the halvings after which the shorter side has come down to about two pixels.

    Args:
      height: rows.
      width: columns.

    Returns:
      Number of levels, at least 1.
    """
    return max(1, min(height, width).bit_length() - 2)


def _shrink_last(plane):
    padded = _repeat_edges(plane, 2)
    size = plane.shape[-1]
    taps = [padded[..., start : start + size : 2] for start in range(5)]
    return (taps[0] + taps[4] + 4 * (taps[1] + taps[3]) + 6 * taps[2]) / 16


def _enlarge_last(plane, size):
    padded = _repeat_edges(plane, 1)
    before, here, after = padded[..., :-2], plane, padded[..., 2:]
    even, odd = (before + 6 * here + after) / 8, (here + after) / 2
    both = jnp.stack([even, odd], axis=-1)
    return both.reshape(*plane.shape[:-1], 2 * plane.shape[-1])[..., :size]


def _repeat_edges(plane, count):
    return jnp.pad(plane, [(0, 0)] * (plane.ndim - 1) + [(count, count)], mode="edge")

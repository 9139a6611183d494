"""Gaussian and Laplacian pyramids over the last two axes.

A level has half the rows and columns of the one before, rounded up. A constant plane is constant on
every level, at the border too: by default that repeats the edge pixel.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

BORDERS = ("repeat", "renormalise")


class Kernel(NamedTuple):
    """The five taps `(1/4 - a/2, 1/4, a, 1/4, 1/4 - a/2)`, and the rule at the border.

    Attributes:
      center: a; 3/8 gives (1 4 6 4 1) / 16, 0.4 the (1 5 8 5 1) / 20 of Burt and Adelson's figures.
      border: "repeat" pads with the edge pixel; "renormalise" drops the taps beyond the border and
        divides by the sum of the others.
    """

    center: float = 3 / 8
    border: str = "repeat"


BINOMIAL = Kernel()
# Of the code published with the local Laplacian filter.
PUBLISHED = Kernel(0.4, "renormalise")


def downsample(plane, *, kernel: Kernel = BINOMIAL) -> jax.Array:
    """Halves a plane: filters along both axes and keeps every second pixel.

    Args:
      plane: float `[*b, h, w]`.
      kernel: taps and border.

    Returns:
      `[*b, ceil(h / 2), ceil(w / 2)]`.

    Raises:
      ValueError: the kernel's border is unknown.

    Reference: Burt and Adelson 1983, section II.
    """
    if kernel.border not in BORDERS:
        raise ValueError(f"border must be one of {BORDERS}, got {kernel.border!r}")
    narrow = _downsample_last(plane, *kernel).swapaxes(-1, -2)
    return _downsample_last(narrow, *kernel).swapaxes(-1, -2)


def upsample(plane, height: int, width: int, *, kernel: Kernel = BINOMIAL) -> jax.Array:
    """Doubles a plane: inserts pixels and filters; a constant stays constant.

    Args:
      plane: float `[*b, ceil(height / 2), ceil(width / 2)]`.
      height: rows of the result.
      width: columns of the result.
      kernel: taps and border.

    Returns:
      `[*b, height, width]`.

    Reference: Burt and Adelson 1983, section III.
    """
    tall = _upsample_last(plane.swapaxes(-1, -2), height, *kernel).swapaxes(-1, -2)
    return _upsample_last(tall, width, *kernel)


def gaussian(plane, levels: int, *, kernel: Kernel = BINOMIAL) -> list:
    """Gaussian pyramid of a plane.

    Args:
      plane: float `[*b, h, w]`.
      levels: number of halvings.
      kernel: taps and border.

    Returns:
      `levels + 1` planes; the first is the plane itself.
    """
    stack = [plane]
    for _ in range(levels):
        stack.append(downsample(stack[-1], kernel=kernel))
    return stack


def laplacian(plane, levels: int, *, kernel: Kernel = BINOMIAL) -> list:
    """Laplacian pyramid of a plane.

    Args:
      plane: float `[*b, h, w]`.
      levels: number of bands.
      kernel: taps and border.

    Returns:
      `levels` bands, finest first, then the residual.
    """
    return laplacian_from_gaussian(gaussian(plane, levels, kernel=kernel), kernel=kernel)


def laplacian_from_gaussian(stack: list, *, kernel: Kernel = BINOMIAL) -> list:
    """Laplacian pyramid from the Gaussian pyramid of the same plane.

    Args:
      stack: planes from `gaussian`.
      kernel: taps and border.

    Returns:
      As many planes: the bands, then the residual.
    """
    bands = [
        fine - upsample(coarse, *fine.shape[-2:], kernel=kernel)
        for fine, coarse in zip(stack, stack[1:])
    ]
    return [*bands, stack[-1]]


def collapse(bands: list, *, kernel: Kernel = BINOMIAL) -> jax.Array:
    """Sums a Laplacian pyramid to a plane: the inverse of `laplacian`.

    Args:
      bands: planes from `laplacian`.
      kernel: taps and border.

    Returns:
      `[*b, h, w]`.
    """
    plane = bands[-1]
    for band in reversed(bands[:-1]):
        plane = band + upsample(plane, *band.shape[-2:], kernel=kernel)
    return plane


def max_levels(height: int, width: int) -> int:
    """Number of halvings that reduce the shorter side to about two pixels.

    Args:
      height: rows.
      width: columns.

    Returns:
      Number of levels, at least 1.
    """
    return max(1, min(height, width).bit_length() - 2)


def _downsample_last(plane, center, border):
    total = _halved(_pad(plane, 2, border), center)
    return total / _halved(_pad(_ones(plane), 2, border), center) if border != "repeat" else total


def _upsample_last(plane, size, center, border):
    total = _doubled(_pad(plane, 1, border), center)
    if border != "repeat":
        total = total / _doubled(_pad(_ones(plane), 1, border), center)
    return total[..., :size]


def _halved(padded, center):
    size = padded.shape[-1] - 4
    taps = [padded[..., start : start + size : 2] for start in range(5)]
    outer, middle = 4 - 8 * center, 16 * center
    return (outer * (taps[0] + taps[4]) + 4 * (taps[1] + taps[3]) + middle * taps[2]) / 16


def _doubled(padded, center):
    before, here, after = padded[..., :-2], padded[..., 1:-1], padded[..., 2:]
    outer, middle = 4 - 8 * center, 16 * center
    even, odd = (outer * (before + after) + middle * here) / 8, (here + after) / 2
    both = jnp.stack([even, odd], axis=-1)
    return both.reshape(*both.shape[:-2], -1)


def _ones(plane):
    return jnp.ones((1,) * (plane.ndim - 1) + plane.shape[-1:], plane.dtype)


def _pad(plane, count, border):
    width = [(0, 0)] * (plane.ndim - 1) + [(count, count)]
    return jnp.pad(plane, width, mode="edge" if border == "repeat" else "constant")

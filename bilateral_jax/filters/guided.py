"""The guided filter: smooths a plane, but keeps the edges that a guide has.

In every window the result is an affine function of the guide, the one that comes nearest to the
plane; where windows overlap the functions are averaged. The time does not depend on the radius.

Receives planes and guides from `filters/dark_channel.py`, `filters/local_contrast.py` and users.
Hands smoothed planes back.
"""

from __future__ import annotations

import jax.numpy as jnp

from bilateral_jax.filters import windows
from bilateral_jax.ops import checks


def smooth(plane, guide, *, radius: int, epsilon: float):
    """Smooths a plane along a guide.

    In the window around each place k the plane is taken for `a_k . guide + b_k` with
    `a_k = (covariance(guide) + epsilon I)^-1 covariance(guide, plane)`, `b_k = mean(plane) - a_k .
    mean(guide)`; a pixel gets `mean(a) . guide + mean(b)` over the windows that it lies in.

    Args:
      plane: float `[*b, h, w]`, any range.
      guide: float `[*b, h, w, c]`, usually in [0, 1]: `plane[..., None]` for the plane itself, a
        colour photo (c = 3) for a plane that belongs to it.
      radius: of the square windows, in pixels; at the border they end with the picture.
      epsilon: variance of the guide, in its units squared, below which it counts as flat, > 0.

    Returns:
      `[*b, h, w]`, dtype of the plane. Differentiable in both arguments.

    Raises:
      TypeError: plane or guide is not floating point.
      ValueError: sizes that differ, leading axes that do not broadcast, a radius that is no int of
        at least 0, an epsilon that is not positive.

    Reference: He, Sun, Tang 2013, "Guided image filtering", sections 3.1 and 3.5 (colour).
    """
    plane = checks.floating("plane", plane, 2, "[*b, h, w]")
    guide = checks.floating("guide", guide, 3, "[*b, h, w, c]")
    checks.same_pixels("plane", plane.shape[-2:], guide.shape[-3:-1])
    checks.broadcast(plane=plane.shape[:-2], guide=guide.shape[:-3])
    radius = windows.whole("radius", radius)
    if isinstance(epsilon, int | float) and not epsilon > 0:
        raise ValueError(f"epsilon must be above 0, got {epsilon!r}")
    # Differences from the picture's own mean: the covariances below are small differences of
    # means of squares, which would lose digits.
    value = plane.astype(jnp.float32)
    middle = value.mean((-2, -1), keepdims=True)
    value = value - middle
    steer = jnp.moveaxis(guide.astype(jnp.float32), -1, 0)
    steer = steer - steer.mean((-2, -1), keepdims=True)
    slopes, offset = _fit(value, list(steer), radius, epsilon)
    result = windows.mean(offset, radius) + middle
    for slope, channel in zip(slopes, steer):
        result = result + windows.mean(slope, radius) * channel
    return result.astype(plane.dtype)


def _fit(value, steer, radius, epsilon):
    """The affine function of every window: one slope per channel of the guide, and the offset."""
    means = [windows.mean(channel, radius) for channel in steer]
    mean = windows.mean(value, radius)
    count = len(steer)
    matrix = [[None] * count for _ in range(count)]
    for i in range(count):
        for j in range(i + 1):
            covariance = windows.mean(steer[i] * steer[j], radius) - means[i] * means[j]
            matrix[i][j] = matrix[j][i] = covariance + (epsilon if i == j else 0.0)
    right = [windows.mean(c * value, radius) - m * mean for c, m in zip(steer, means)]
    slopes = _solve(matrix, right)
    for slope, channel_mean in zip(slopes, means):
        mean = mean - slope * channel_mean
    return slopes, mean


def _solve(matrix, right):
    """Gaussian elimination of one small positive definite system per pixel, written out."""
    matrix, right, count = [list(row) for row in matrix], list(right), len(right)
    for pivot in range(count):
        for row in range(pivot + 1, count):
            factor = matrix[row][pivot] / matrix[pivot][pivot]
            for column in range(pivot, count):
                matrix[row][column] = matrix[row][column] - factor * matrix[pivot][column]
            right[row] = right[row] - factor * right[pivot]
    for row in reversed(range(count)):
        for column in range(row + 1, count):
            right[row] = right[row] - matrix[row][column] * right[column]
        right[row] = right[row] / matrix[row][row]
    return right

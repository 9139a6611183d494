"""The guided filter: smoothing that preserves the edges of a guide.

In every window the result is the affine function of the guide that fits the plane best; overlapping
windows are averaged. The time does not depend on the radius.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from bilateral_jax.filters import arguments, windows
from bilateral_jax.ops import checks


def smooth(plane, guide, *, radius: int, epsilon: float) -> jax.Array:
    """Guided filter of a plane.

    In the window around each pixel k the plane is approximated by `a_k . guide + b_k` with
    `a_k = (covariance(guide) + epsilon I)^-1 covariance(guide, plane)`, `b_k = mean(plane) - a_k .
    mean(guide)`; a pixel becomes `mean(a) . guide + mean(b)` over the windows that contain it.

    Args:
      plane: float `[*b, h, w]`, any range.
      guide: float `[*b, h, w, c]`, usually in [0, 1]: `plane[..., None]` for self-guided
        filtering, a colour image (c = 3) for a plane that belongs to it.
      radius: of the square windows, in pixels; they are cropped at the border of the image.
      epsilon: variance of the guide, in its units squared, below which it counts as flat, > 0.

    Returns:
      `[*b, h, w]`, dtype of the plane. Differentiable in both arguments.

    Raises:
      TypeError: plane or guide is not floating point.
      ValueError: sizes that differ, leading axes that do not broadcast, a radius that is not an int
        of at least 0, an epsilon that is not positive.

    Reference: He, Sun, Tang 2013, "Guided image filtering", sections 3.1 and 3.5 (colour).
    """
    plane = checks.floating("plane", plane, 2, "[*b, h, w]")
    guide = checks.floating("guide", guide, 3, "[*b, h, w, c]")
    checks.same_pixels("plane", plane.shape[-2:], guide.shape[-3:-1])
    checks.broadcast(plane=plane.shape[:-2], guide=guide.shape[:-3])
    radius = arguments.integer("radius", radius)
    if isinstance(epsilon, int | float) and not epsilon > 0:
        raise ValueError(f"epsilon must be above 0, got {epsilon!r}")
    # The mean of the whole image is subtracted: the covariances below are differences of means of
    # squares, which would lose digits.
    value = plane.astype(jnp.float32)
    offset = _finite_mean(value)
    value = value - offset
    channels = jnp.moveaxis(guide.astype(jnp.float32), -1, 0)
    channels = channels - _finite_mean(channels)
    slopes, intercept = _fit(value, list(channels), radius, epsilon)
    result = windows.mean(intercept, radius) + offset
    for slope, channel in zip(slopes, channels):
        result = result + windows.mean(slope, radius) * channel
    return result.astype(plane.dtype)


def _finite_mean(planes):
    """The mean of each plane's finite values, `[..., 1, 1]`: a NaN stays in its windows."""
    finite = jnp.isfinite(planes)
    total = jnp.sum(jnp.where(finite, planes, 0), (-2, -1), keepdims=True)
    return total / jnp.maximum(jnp.sum(finite, (-2, -1), keepdims=True), 1)


def _fit(value, channels, radius, epsilon):
    """The affine function of every window: a slope per channel of the guide, and the intercept."""
    means = [windows.mean(channel, radius) for channel in channels]
    mean = windows.mean(value, radius)
    count = len(channels)
    matrix = [[None] * count for _ in range(count)]
    for i in range(count):
        for j in range(i + 1):
            covariance = windows.mean(channels[i] * channels[j], radius) - means[i] * means[j]
            matrix[i][j] = matrix[j][i] = covariance + (epsilon if i == j else 0.0)
    right = [windows.mean(c * value, radius) - m * mean for c, m in zip(channels, means)]
    slopes = _solve(matrix, right)
    for slope, channel_mean in zip(slopes, means):
        mean = mean - slope * channel_mean
    return slopes, mean


def _solve(matrix, right):
    """Gaussian elimination, unrolled, of one small positive definite system per pixel."""
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

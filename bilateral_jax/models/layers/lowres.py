"""The low-resolution input of a network: one function for training and for inference.

The original trained on TensorFlow's old nearest-neighbour resize and enhanced with another
library's, which looks at pixels up to two places away. Here both use the same rule, and the
recommended one averages the pixels under each output pixel, so that noise and fine texture do not
alias into the colour transform.

Receives full-resolution images from `models/model.py` and the training step.
Hands square low-resolution images to `models/hdrnet.py`.
"""

import jax.numpy as jnp
import numpy as np

from bilateral_jax.models.layers import convolutions

METHODS = ("nearest_legacy", "area")
# output rows per product: the matrices are banded, one dense product would multiply zeros
_BLOCK = 16


def nearest_indices(size: int, target: int) -> np.ndarray:
    """The source index of every output pixel by TensorFlow 1's rule, floor(i * size / target).

    Args:
      size: input pixels along the axis.
      target: output pixels along the axis.

    Returns:
      int64 `[target]`, in [0, size).
    """
    positions = np.arange(target, dtype=np.float32) * np.float32(size / target)
    return np.minimum(np.floor(positions).astype(np.int64), size - 1)


def area_matrix(size: int, target: int) -> np.ndarray:
    """Gives the weights of an antialiased resize along one axis.

    Shrinking averages the source pixels that an output pixel covers, each by the part covered;
    enlarging interpolates linearly between pixel centres. Rows sum to 1.

    Args:
      size: input pixels along the axis.
      target: output pixels along the axis.

    Returns:
      float32 `[target, size]`.
    """
    outputs = np.arange(target, dtype=np.float64)[:, None]
    inputs = np.arange(size, dtype=np.float64)[None]
    if target <= size:
        start, stop = outputs * size / target, (outputs + 1) * size / target
        weights = np.clip(np.minimum(stop, inputs + 1) - np.maximum(start, inputs), 0, None)
    else:
        centres = np.clip((outputs + 0.5) * size / target - 0.5, 0, size - 1)
        weights = np.clip(1 - np.abs(centres - inputs), 0, None)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def resize(image, size: int, method: str):
    """Makes the square low-resolution copy for a coefficient network; the aspect is not kept.

    Args:
      image: `[*b, h, w, c]`, any height and width from 1.
      size: side n of the result.
      method: "nearest_legacy" (the original's) or "area" (antialiased).

    Returns:
      `[*b, n, n, c]`.

    Raises:
      ValueError: unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")
    for axis in (-3, -2):
        if image.shape[axis] == size:
            continue  # both rules are the identity
        if method == "nearest_legacy":
            image = jnp.take(image, nearest_indices(image.shape[axis], size), axis=axis)
        else:
            image = _multiply(area_matrix(image.shape[axis], size), image, axis)
    return image


def _multiply(matrix, image, axis):
    """Multiplies one axis by a banded matrix, a block of output rows at a time."""
    parts = []
    for first in range(0, len(matrix), _BLOCK):
        rows = matrix[first : first + _BLOCK]
        used = np.flatnonzero(rows.any(0))
        start, stop = int(used[0]), int(used[-1]) + 1
        source = jnp.moveaxis(image, axis, -2)[..., start:stop, :]
        part = jnp.matmul(
            rows[:, start:stop].astype(image.dtype), source, precision=convolutions.PRECISION
        )
        parts.append(part)
    return jnp.moveaxis(jnp.concatenate(parts, -2), -2, axis)

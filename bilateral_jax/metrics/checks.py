"""What the image metrics share: checks of their arguments, and means over pixels or windows."""

import math

import jax
import jax.numpy as jnp

from bilateral_jax.ops import masks, ranges

_TILE_PIXELS = 1 << 18  # pixels of working memory in larger images


def image_pair(prediction, target, *, channels=None, data_range=1.0, valid=None):
    """Checks the arguments of a metric.

    Args:
      prediction: the first argument of the metric.
      target: the second.
      channels: the size that the last axis must have, or None.
      data_range: the value of white.
      valid: mask of the pixels that count, or None.

    Returns:
      Both as float32, divided by the range, 0 at padding; `valid` as bool `[*b, h, w]` or None.

    Raises:
      ValueError: the shapes differ, have fewer than three axes, no pixels, or other channels, or
        values cannot be in the range.
      TypeError: an argument holds integers.
    """
    for name, array in (("prediction", prediction), ("target", target)):
        dtype = jnp.result_type(array)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(
                f"{name} has dtype {dtype}; expected floats (divide 8-bit pixels by 255)"
            )
    shape = jnp.shape(prediction)
    if shape != jnp.shape(target):
        raise ValueError(
            f"prediction and target must have the same shape, got {shape} and {jnp.shape(target)}"
        )
    if len(shape) < 3 or 0 in shape[-3:]:
        raise ValueError(f"prediction must be [*b, h, w, c] with pixels, got shape {shape}")
    if channels is not None and shape[-1] != channels:
        raise ValueError(
            f"prediction must hold {channels} sRGB channels in the last axis, got shape {shape}"
        )
    valid = masks.check(valid, shape)
    if valid is None:
        ranges.check(data_range, prediction=prediction, target=target)
    images = [masks.zero(jnp.asarray(x, jnp.float32), valid) for x in (prediction, target)]
    if valid is not None:
        ranges.check(data_range, prediction=images[0], target=images[1])
    if not isinstance(data_range, int | float) or data_range != 1:
        images = [x / data_range for x in images]
    return *images, valid


def mean_over_windows(function, prediction, target, *, size=1, valid=None):
    """Mean of a local quantity over the positions of its window, with memory for a few rows.

    Args:
      function: `(prediction, target) -> pytree of [*b, rows - size + 1, w - size + 1, k]` for
        images of any number of rows; finite wherever the images are.
      prediction: float `[*b, h, w, c]`.
      target: float `[*b, h, w, c]`.
      size: rows and columns of the window, at most h and w.
      valid: bool `[*b, h, w]`: only windows that lie wholly inside count. None counts all.

    Returns:
      The pytree of means `[*b, k]`; 0 where no window counts.
    """
    inside = masks.windows(valid, size, size)
    rows, axis = prediction.shape[-3] - size + 1, prediction.ndim - 3
    per_row = math.prod(prediction.shape[:-3]) * prediction.shape[-2]
    tile = max(1, _TILE_PIXELS // max(1, per_row))

    def sums(first):
        # The last tile starts earlier to be a full one, and counts only rows not counted before.
        start = jnp.minimum(first, rows - tile)
        parts = (
            jax.lax.dynamic_slice_in_dim(x, start, tile + size - 1, axis)
            for x in (prediction, target)
        )
        mask = inside
        if mask is not None:
            mask = jax.lax.dynamic_slice_in_dim(mask, start, tile, axis)
        new = start + jnp.arange(tile) >= first
        return jax.tree.map(lambda value: _sum_rows(masks.zero(value, mask), new), function(*parts))

    if tile >= rows:
        values = jax.tree.map(lambda v: masks.zero(v, inside), function(prediction, target))
        means = jax.tree.map(lambda v: v.mean(axis=-2).mean(axis=-2), values)
    else:
        totals = jax.lax.map(sums, jnp.arange(0, rows, tile))
        means = jax.tree.map(lambda total: total.sum(axis=0) / rows, totals)
    if inside is None:
        return means
    return jax.tree.map(lambda v: v / masks.valid_fraction(inside)[..., None], means)


def _sum_rows(value, counted):
    """Mean over columns, sum over the counted rows: `[*b, r, w, k]` to `[*b, k]`."""
    value = value.mean(axis=-2)
    counted = counted.reshape((1,) * (value.ndim - 2) + (-1, 1))
    return jnp.where(counted, value, 0.0).sum(axis=-2)

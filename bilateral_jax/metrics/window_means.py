"""Means of local quantities over the windows of an image, in row tiles of bounded memory."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from bilateral_jax.ops import masks

_TILE_PIXELS = 1 << 18  # pixels of working memory in larger images


def mean(function, prediction, target, *, size=1, valid=None) -> Any:
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

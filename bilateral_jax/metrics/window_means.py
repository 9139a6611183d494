"""Means of local quantities over the windows of an image, in tiles of bounded memory."""

import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax.ops import masks

_TILE_PIXELS = 1 << 18  # pixels of working memory in larger images
_TILE = (128, 256)  # rows and columns of window positions where all images share one program


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


def mean_by_tiles(function, prediction, target, *arguments, size=1) -> Any:
    """Mean of a local quantity as `mean` computes it, by one program for images of all sizes.

    Args:
      function: as for `mean`, but `(prediction, target, *arguments)`; compiled once, so it is a
        function of a module.
      prediction: float32 `[h, w, c]`, in the memory of the host.
      target: float32 `[h, w, c]`.
      *arguments: arrays of one shape for all images.
      size: rows and columns of the window, at most h and w.

    Returns:
      The pytree of means, float64 `[k]`: sums of float32 in a tile, of float64 over the tiles.
    """
    shape = [side - size + 1 for side in prediction.shape[:2]]
    sums = []
    for top, left in itertools.product(*(range(0, n, t) for n, t in zip(shape, _TILE))):
        rows, columns = (slice(first, first + t + size - 1) for first, t in zip((top, left), _TILE))
        pair = (_filled(image[rows, columns], size) for image in (prediction, target))
        counted = np.asarray([shape[0] - top, shape[1] - left], np.int32)
        sums.append(_tile_sum(function, *pair, counted, arguments))
    count = math.prod(shape)
    return jax.tree.map(lambda *parts: np.sum(np.asarray(parts, np.float64), 0) / count, *sums)


def _filled(tile, size):
    """Pads a tile with zeros to the size of all tiles."""
    full = [side + size - 1 for side in _TILE]
    if tile.shape[:2] == tuple(full):
        return tile
    return np.pad(tile, [(0, n - has) for n, has in zip(full, tile.shape)] + [(0, 0)])


@functools.partial(jax.jit, static_argnums=0)
def _tile_sum(function, prediction, target, counted, arguments):
    """Sums over the first `counted` rows and columns of positions."""
    rows, columns = (jnp.arange(side) < count for side, count in zip(_TILE, counted))
    inside = rows[:, None] & columns[None]
    values = function(prediction, target, *arguments)
    return jax.tree.map(lambda v: masks.zero(v, inside).sum(axis=-2).sum(axis=-2), values)

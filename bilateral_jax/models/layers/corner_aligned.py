"""Resizing to half and double size with aligned corners, as in HDRNet's pyramid network.

From `size` to `size // 2` pixels and back, the position of an output pixel drifts by less than one
pixel from twice (half) its index. So a level needs three fixed taps per output pixel, weighted by a
tent around the true position: no gather, and the transpose is as regular. The weights depend on a
row's position in the whole image only; a tile therefore gets exactly the whole image's values.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jax import export


def half(size: int) -> int:
    """Returns the size of the next coarser level; a single pixel stays one."""
    return max(size // 2, 1)


@dataclasses.dataclass(frozen=True)
class Span:
    """Rows `start` to `start + count` of `total`; those outside [0, total) are ignored."""

    start: int
    count: int
    total: int

    def halved(self) -> "Span":
        """Returns the span of a whole axis on the next coarser level."""
        return Span(0, half(self.total), half(self.total))


def _positions(target, source_total):
    """Target rows (those outside moved to the border) and where they fall among the source rows.

    The product is rounded to float32 as in the original, which moves a row of a tall photo by up to
    1e-3.
    """
    index = np.clip(target.start + np.arange(target.count), 0, target.total - 1)
    scale = (source_total - 1) / (target.total - 1) if target.total > 1 else 0.0
    position = index.astype(np.float32) * np.float32(scale)
    return index, np.minimum(position.astype(np.float64), source_total - 1)


def _tents(positions, first):
    """Float32 weights of the taps first, first + 1, first + 2 at each position: `[count, 3]`."""
    taps = first + np.arange(3)
    return np.maximum(1 - np.abs(positions[:, None] - taps[None]), 0).astype(np.float32)


def halving_weights(target: Span, source_total: int) -> np.ndarray:
    """Returns the weights of source rows 2i, 2i + 1, 2i + 2 for every target row i.

    Args:
      target: rows to compute, of a level with `half(source_total)` rows.
      source_total: rows of the finer level.

    Returns:
      float32 `[target.count, 3]`.
    """
    index, position = _positions(target, source_total)
    return _tents(position - 2 * index, 0)


def doubling_weights(target: Span, source_total: int) -> np.ndarray:
    """Returns the weights of source rows m - 1, m, m + 1, with m = i // 2, for every target row i.

    Args:
      target: rows to compute, of the finer level.
      source_total: rows of the coarser level, `half(target.total)`.

    Returns:
      float32 `[target.count, 3]`.
    """
    index, position = _positions(target, source_total)
    return _tents(position - index // 2, -1)


def halve(x, weights, *, axis: int, lead: int = 0):
    """Resizes one axis to the next coarser level.

    Args:
      x: `[..., size, ...]`; row r is absolute row `r - lead` before twice the first target row.
      weights: `[count, 3]` of `halving_weights`.
      axis: the axis to resize.
      lead: rows of `x` ahead of twice the first target row.

    Returns:
      `[..., count, ...]`.
    """
    count = len(weights)
    x = _extend(x, axis, 0, max(0, lead + 2 * count + 1 - x.shape[axis]))
    taps = [_take(x, axis, lead + t, count, 2) for t in range(3)]
    return sum(tap * _along(weights[:, t], x.ndim, axis) for t, tap in enumerate(taps))


def double(x, weights, *, axis: int, lead: int = 0):
    """Resizes one axis to the next finer level; the first target row is even.

    Args:
      x: `[..., size, ...]`.
      weights: `[count, 3]` of `doubling_weights`.
      axis: the axis to resize.
      lead: rows of `x` ahead of half the first target row.

    Returns:
      `[..., count, ...]`.
    """
    axis %= x.ndim
    count = len(weights)
    pairs = -(-count // 2)
    before = max(0, 1 - lead)
    x = _extend(x, axis, before, max(0, lead + pairs + 1 - x.shape[axis]))
    weights = jnp.concatenate([weights, weights[-1:]]) if count % 2 else weights
    taps = [_take(x, axis, before + lead + t - 1, pairs, 1) for t in range(3)]
    phases = []
    for phase in range(2):
        rows = weights[phase::2]
        phases.append(sum(tap * _along(rows[:, t], x.ndim, axis) for t, tap in enumerate(taps)))
    y = jnp.stack(phases, axis + 1)
    y = y.reshape(*x.shape[:axis], 2 * pairs, *x.shape[axis + 1 :])
    return _take(y, axis, 0, count, 1)


def _extend(x, axis, before, after):
    """Repeats the border rows of an axis."""
    if not before and not after:
        return x
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, after)
    return jnp.pad(x, widths, mode="edge")


def _take(x, axis, start, count, step):
    index = [slice(None)] * x.ndim
    index[axis] = slice(start, start + (count - 1) * step + 1, step)
    return x[tuple(index)]


def _along(vector, rank, axis):
    """Returns a vector `rank` axes, its own at `axis`."""
    shape = [1] * rank
    shape[axis] = -1
    return vector.reshape(shape)


# Rows that a tile computes ahead of the ones it slices: of the finest level, of the middle one.
_AHEAD = (8, 2)


@dataclasses.dataclass(frozen=True)
class Axis:
    """Resize weights of one axis (rows or columns) between the three levels, finest first.

    Attributes:
      weights: of the four resizes: "halve_1", "halve_2", "double_1", "double_0"; the number is the
        level made.
      leads: rows ahead of the first centre tap in the input of "double_0" and of "double_1".
    """

    weights: dict
    leads: tuple[int, int] = (0, 0)


def whole(size: int) -> Axis:
    """Makes the weights of a whole axis.

    Raises:
      ValueError: the size is symbolic, in a program exported for any size.
    """
    if export.is_symbolic_dim(size):
        raise ValueError(
            "a network with an image pyramid is exported for one size: height and width must be "
            f"numbers, got the symbolic size {size}"
        )
    finest = Span(0, size, size)
    middle, coarsest = finest.halved(), finest.halved().halved()
    return Axis(_weights((finest, middle, coarsest), middle))


def tile(start: int, count: int, total: int) -> tuple[tuple[int, int], tuple[Span, ...], Axis]:
    """Plans rows (or columns) `[start, start + count)` of an image of `total` rows.

    Args:
      start: first row, a multiple of 4.
      count: number of rows; the last may lie beyond the image.
      total: rows of the image.

    Returns:
      (first, past the last) full-resolution row needed, which may lie outside the image; the rows
      of each level that are sliced, finest first; the plan for `coarser` and `finer`.

    Raises:
      ValueError: `start` is not a multiple of 4.
    """
    if start % 4:
        raise ValueError(f"start must be a multiple of 4, got {start}")
    sizes = (total, half(total), half(half(total)))
    finest = Span(start, count, sizes[0])
    middle = Span(start // 2 - 2, -(-count // 2) + 3, sizes[1])
    coarsest = Span(start // 4 - 2, -(-middle.count // 2) + 2, sizes[2])
    computed = Span(start // 2 - 4, max(2 * coarsest.count + 1, middle.count + 2), sizes[1])
    source = (start - _AHEAD[0], start - _AHEAD[0] + max(2 * computed.count + 1, count + _AHEAD[0]))
    spans = (finest, middle, coarsest)
    return source, spans, tile_axis(_weights(spans, computed))


def tile_axis(weights: dict) -> Axis:
    """Plans the rows of a tile from its weights, which may be traced."""
    return Axis(weights, (2, 1))


def _weights(spans, middle_computed):
    finest, middle, coarsest = spans
    return {
        "halve_1": halving_weights(middle_computed, finest.total),
        "halve_2": halving_weights(coarsest, middle.total),
        "double_1": doubling_weights(middle, coarsest.total),
        "double_0": doubling_weights(finest, middle.total),
    }


def coarser(finest, rows: Axis, columns: Axis):
    """Returns the middle and the coarsest level of images `[b, h, w, c]`."""
    levels = [finest]
    for name in ("halve_1", "halve_2"):
        x = halve(levels[-1], rows.weights[name], axis=1)
        levels.append(halve(x, columns.weights[name], axis=2))
    return levels[1:]


def finer(x, level: int, rows: Axis, columns: Axis):
    """Resizes images `[b, h, w, c]` of the next coarser level to `level`."""
    name = f"double_{level}"
    x = double(x, rows.weights[name], axis=1, lead=rows.leads[level])
    return double(x, columns.weights[name], axis=2, lead=columns.leads[level])


def crop_tile(finest, middle, rows: Axis, columns: Axis):
    """Cuts the computed levels `[b, h, w, c]` of a tile to the pixels that are sliced."""
    levels = []
    for x, ahead, name in zip((finest, middle), _AHEAD, ("double_0", "double_1"), strict=True):
        height, width = len(rows.weights[name]), len(columns.weights[name])
        levels.append(x[:, ahead : ahead + height, ahead : ahead + width])
    return levels

"""Networks that need statistics of the whole picture, run with memory for a strip of it.

Tiles would have statistics of their own and be joined with seams. Here a pass over the strips of
the picture measures the first statistic, a second pass, which knows it, the second, and so on; the
last pass renders. That computes early layers several times (4.7 times the work of one pass for
DPED, 4.5 for CAN24) and gives the whole picture's values to rounding.

Receives pixels and a model from `inference/`.
Hands rendered rows back to it.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax.models.layers import row_tiles


def render(model, image, store, *, rows: int, to_float, conditions=()):
    """Renders a picture strip by strip.

    Args:
      model: a model whose network has `run`, `statistics`.
      image: `[h, w, 3]`, the pixels of a file or floats.
      store: `(first row, rows [rows, w, 3] of the image's dtype) -> None`; the last strip may hold
        rows beyond the picture.
      rows: of a strip, without those that it needs from its neighbours.
      to_float: turns pixels into float32 in [0, 1].
      conditions: numbers that the network sees beside every pixel.
    """
    known = ()
    for stop in range(model.module.statistics):
        total = None
        for _, part in _pass(_measure, model, image, known, rows, to_float, stop, conditions):
            total = _merge(total, *(np.asarray(x, np.float64) for x in part))
        known += (_moments(*total),)
    for start, part in _pass(_render, model, image, known, rows, to_float, None, conditions):
        store(start, part)


def whole(model, image, *, to_float, conditions=()):
    """Renders a small picture in one piece.

    Args:
      model: as for `render`.
      image: `[h, w, 3]`, the pixels of a file or floats.
      to_float: as for `render`.
      conditions: as for `render`.

    Returns:
      `[h, w, 3]` of the image's dtype.
    """
    return _whole(model, image, to_float, conditions)


def _pass(function, model, image, known, rows, to_float, stop, conditions):
    """Runs a function on every strip, the next one under way while a result is used."""
    reach = _reach(model.module, stop)
    height, pending = image.shape[0], None
    for start in range(0, height, rows):
        strip = _cut(image, start - reach, rows + 2 * reach)
        result = function(model, strip, known, (start - reach, height), to_float, stop, conditions)
        if pending is not None:
            yield pending
        pending = start, result
    yield pending


@functools.partial(jax.jit, static_argnums=(4, 5))
def _measure(model, pixels, known, place, to_float, stop, conditions):
    """Counts the pixels of a strip and gives their mean and sum of squared distances from it."""
    features = _run(model, pixels, known, place, to_float, stop, conditions)
    x, inside = features.values[0], features.inside()
    count = jnp.sum(inside) * x.shape[1]
    mean = jnp.sum(jnp.where(inside, x, 0), (0, 1), keepdims=True) / count
    spread = jnp.sum(jnp.where(inside, jnp.square(x - mean), 0), (0, 1), keepdims=True)
    return count, mean, spread


@functools.partial(jax.jit, static_argnums=(4, 5))
def _render(model, pixels, known, place, to_float, stop, conditions):
    out = _run(model, pixels, known, place, to_float, stop, conditions).values[0]
    return _to_pixels(out, pixels.dtype)


@functools.partial(jax.jit, static_argnums=2)
def _whole(model, image, to_float, conditions):
    inputs = _with_conditions(to_float(image), conditions)[None]
    return _to_pixels(model.apply(inputs, method="enhance")[0], image.dtype)


def _run(model, pixels, known, place, to_float, stop, conditions):
    top, height = place
    values = _with_conditions(to_float(pixels), conditions)[None]
    strip = row_tiles.Strip(values, jnp.int32(top), jnp.int32(height))
    return model.apply(strip, known, stop=stop, method="run")


def _with_conditions(values, conditions):
    planes = [jnp.full((*values.shape[:2], 1), value, values.dtype) for value in conditions]
    return jnp.concatenate([values, *planes], axis=-1) if planes else values


def _to_pixels(out, dtype):
    if not jnp.issubdtype(dtype, jnp.unsignedinteger):
        return out.astype(dtype)
    return jnp.round(jnp.clip(out, 0, 1) * jnp.iinfo(dtype).max).astype(dtype)


def _cut(image, first, count):
    """Takes rows of a picture, black ones where it has none (the network ignores them)."""
    above, below = max(-first, 0), max(first + count - len(image), 0)
    part = image[max(first, 0) : min(first + count, len(image))]
    return np.pad(part, ((above, below), (0, 0), (0, 0))) if above or below else part


@functools.lru_cache(maxsize=64)
def _reach(module, stop):
    """Rows that a strip loses at each end: found by asking for shapes."""
    rows = 4096

    def shape():
        values = jnp.zeros((1, rows, 1, module.example_inputs()[0].shape[-1]))
        strip = row_tiles.Strip(values, jnp.int32(0), jnp.int32(rows))
        known = (row_tiles.Moments(jnp.zeros(()), jnp.ones(())),) * module.statistics
        variables = module.init(jax.random.key(0), *module.example_inputs())
        return module.apply(variables, strip, known, stop=stop, method="run").values

    return (rows - jax.eval_shape(shape).shape[1]) // 2


def _merge(total, count, mean, spread):
    """Joins the counts, means and squared distances of two parts (Chan et al. 1979)."""
    if total is None:
        return count, mean, spread
    before, mean_before, spread_before = total
    both, step = before + count, mean - mean_before
    spread = spread_before + spread + np.square(step) * before * count / both
    return both, mean_before + step * count / both, spread


def _moments(count, mean, spread):
    return row_tiles.Moments(*(np.asarray(x, np.float32)[None] for x in (mean, spread / count)))

"""Bands of rows: what keeps temporaries in the cache, and compilers from undoing it.

XLA materialises what it does not fuse. Done band by band, those arrays are a few megabytes that
stay in the cache and serve the next band again; done for a whole photo, they are gigabytes of fresh
pages, which cost more than the arithmetic.

Receives band functions from `ops/xla/`.
Hands joined or summed bands back to it.
"""

import jax
import jax.numpy as jnp

# Two facts about XLA:CPU of jax 0.10.2, seen in its optimised programs and not in those of 0.12.0:
# it drops `optimization_barrier` before it fuses, so that a loop's bookkeeping joins the arithmetic
# and nothing is vectorised (52 instead of 9 ns per pixel); and to cut a band of half precision it
# first widens the whole picture (18 instead of 10).
_EARLY_XLA = jax.__version_info__ < (0, 11)


def isolated(function, *arrays):
    """`function(*arrays)`, compiled by itself: nothing before or after is fused into its loops."""
    if not _EARLY_XLA:
        return jax.lax.optimization_barrier(function(*jax.lax.optimization_barrier(arrays)))

    # A conditional keeps them apart, if its predicate is hidden until after the simplifier.
    function = _traced_once(function)

    def never(*arrays):
        shapes = jax.eval_shape(function, *arrays)
        return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

    return jax.lax.cond(jax.lax.optimization_barrier(True), function, never, *arrays)


def joined(function, rows, arrays, filler):
    """Applies `function` to bands of `rows` rows (axis 1) of the arrays, joins its results there.

    The buffer for them begins full of `filler`, any scalar of this call: zeros would be one
    constant for all calls in a program, kept until the last and copied for each.
    """
    height = arrays[0].shape[1]
    if rows >= height:
        return function(*arrays)

    function = _traced_once(function)

    def step(k, out):
        # The last band begins early enough to be whole; rows it repeats get the same values again.
        start = jnp.minimum(k * rows, height - rows)
        band = _bits(function(*_band(arrays, start, rows)))
        return jax.lax.dynamic_update_slice_in_dim(out, band, start, 1)

    shape = jax.eval_shape(function, *_band(arrays, 0, rows))
    filler = _bits(filler.astype(shape.dtype))
    out = jnp.broadcast_to(filler, (shape.shape[0], height, *shape.shape[2:]))
    out = jax.lax.fori_loop(0, -(-height // rows), step, out)
    return jax.lax.bitcast_convert_type(out, shape.dtype)


def summed(function, rows, weights, arrays):
    """The sum over bands of `function(examples, weights, *arrays)`, `[n, ...]`.

    A band has rows of one example, `examples` being its index: a band of all would have few rows,
    and add up n times as much for each. Without bands `examples` is None, which means all. A row
    whose `weights` `[n, h, ...]` are 0 must add nothing.
    """
    batch, height = weights.shape[:2]
    if rows >= batch * height:
        return function(None, weights, *arrays)
    function = _traced_once(function)
    rows = min(rows, height)
    bands = -(-height // rows)

    def step(k, total):
        example, start = k // bands, jnp.minimum(k % bands * rows, height - rows)
        one, *own = _band([weights, *arrays], start, rows, example)
        # The last band begins early enough to be whole; the rows it repeats were counted before.
        row = start + jnp.arange(rows).reshape(1, rows, *(1,) * (weights.ndim - 2))
        one = jnp.where(row >= k % bands * rows, one, 0)
        part = function(example, one, *own)
        part += jax.lax.dynamic_slice_in_dim(total, example, 1, axis=0)
        return jax.lax.dynamic_update_slice_in_dim(total, part, example, axis=0)

    first = [array[:1, :rows] for array in (weights, *arrays)]
    shape = jax.eval_shape(lambda *a: function(jnp.int32(0), *a), *first)
    total = jnp.zeros((batch, *shape.shape[1:]), shape.dtype)
    return jax.lax.fori_loop(0, batch * bands, step, total)


def _traced_once(function):
    """The function, of thousands of operations, for those who ask for its result's shape, too."""
    return jax.jit(function, inline=True)


def _band(arrays, start, rows, example=None):
    """Rows of all examples, or of one."""

    def cut(array):
        if example is None:
            return jax.lax.dynamic_slice_in_dim(array, start, rows, axis=1)
        origin = (example, start, *(0,) * (array.ndim - 2))
        return jax.lax.dynamic_slice(array, origin, (1, rows, *array.shape[2:]))

    bands = [cut(_bits(array)) for array in arrays]
    return [
        jax.lax.bitcast_convert_type(band, array.dtype)
        for band, array in zip(bands, arrays, strict=True)
    ]


def _bits(array):
    """Half precision as integers, where bands of floats are not cut as they are."""
    if _EARLY_XLA and array.dtype.itemsize == 2:
        return jax.lax.bitcast_convert_type(array, jnp.uint16)
    return array

"""Row tiles: keep temporaries in the cache, and compilers from undoing it.

XLA materialises what it does not fuse. Computed tile by tile, those arrays are a few megabytes that
stay in the cache and are used again for the next tile; for a whole photo they are gigabytes of
fresh pages, which cost more than the arithmetic.
"""

import jax
import jax.numpy as jnp

# Bytes of a tile's arrays elsewhere than on a CPU: memory that is fast without a cache wants few
# large steps (not measured).
_BYTES_ELSEWHERE = 256 << 20
# Two facts about XLA:CPU of jax 0.10.2, seen in its optimised programs and not in those of 0.12.0:
# it drops `optimization_barrier` before it fuses, so that a loop's bookkeeping joins the arithmetic
# and nothing is vectorised (52 instead of 9 ns per pixel); and to cut a tile of half precision it
# first widens the whole image (18 instead of 10).
_EARLY_XLA = jax.__version_info__ < (0, 11)


def tile_rows(cpu_bytes, shape, numbers):
    """Rows of a tile of pixels `[n, h, w]` that need so many float32 `numbers` each at a time.

    On a CPU the tile's arrays take `cpu_bytes`, which stay in its caches.
    """
    size = cpu_bytes if jax.default_backend() == "cpu" else _BYTES_ELSEWHERE
    return max(1, int(size / (4 * numbers * shape[0] * shape[2])))


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


def map_tiles(function, rows, arrays, filler):
    """Applies `function` to tiles of `rows` rows (axis 1) of the arrays; concatenates the results.

    The buffer for them begins full of `filler`, any scalar of this call: zeros would be one
    constant for all calls in a program, kept until the last and copied for each.
    """
    height = arrays[0].shape[1]
    if rows >= height:
        return function(*arrays)

    function = _traced_once(function)

    def step(k, out):
        # The last tile begins early enough to be full; rows it repeats get the same values again.
        start = jnp.minimum(k * rows, height - rows)
        tile = _bits(function(*_cut(arrays, start, rows)))
        return jax.lax.dynamic_update_slice_in_dim(out, tile, start, 1)

    shape = jax.eval_shape(function, *_cut(arrays, 0, rows))
    filler = _bits(filler.astype(shape.dtype))
    out = jnp.broadcast_to(filler, (shape.shape[0], height, *shape.shape[2:]))
    out = jax.lax.fori_loop(0, -(-height // rows), step, out)
    return jax.lax.bitcast_convert_type(out, shape.dtype)


def sum_tiles(function, rows, weights, arrays):
    """The sum over tiles of `function(example, weights, *arrays)`, `[n, ...]`.

    A tile has rows of one example, `example` being its index: a tile of all would have few rows,
    and add up n times as much for each. Without tiles `example` is None, which means all. A row
    whose `weights` `[n, h, ...]` are 0 must add nothing.
    """
    batch, height = weights.shape[:2]
    if rows >= batch * height:
        return function(None, weights, *arrays)
    function = _traced_once(function)
    rows = min(rows, height)
    tiles = -(-height // rows)

    def step(k, total):
        example, start = k // tiles, jnp.minimum(k % tiles * rows, height - rows)
        one, *own = _cut([weights, *arrays], start, rows, example)
        # The last tile begins early enough to be full; the rows it repeats were counted before.
        row = start + jnp.arange(rows).reshape(1, rows, *(1,) * (weights.ndim - 2))
        one = jnp.where(row >= k % tiles * rows, one, 0)
        part = function(example, one, *own)
        part += jax.lax.dynamic_slice_in_dim(total, example, 1, axis=0)
        return jax.lax.dynamic_update_slice_in_dim(total, part, example, axis=0)

    first = [array[:1, :rows] for array in (weights, *arrays)]
    shape = jax.eval_shape(lambda *a: function(jnp.int32(0), *a), *first)
    total = jnp.zeros((batch, *shape.shape[1:]), shape.dtype)
    return jax.lax.fori_loop(0, batch * tiles, step, total)


def _traced_once(function):
    """The function, traced once although its result's shape is asked for, too."""
    return jax.jit(function, inline=True)


def _cut(arrays, start, rows, example=None):
    """A tile of arrays: rows of all examples, or of one."""

    def cut(array):
        if example is None:
            return jax.lax.dynamic_slice_in_dim(array, start, rows, axis=1)
        origin = (example, start, *(0,) * (array.ndim - 2))
        return jax.lax.dynamic_slice(array, origin, (1, rows, *array.shape[2:]))

    tiles = [cut(_bits(array)) for array in arrays]
    return [
        jax.lax.bitcast_convert_type(tile, array.dtype)
        for tile, array in zip(tiles, arrays, strict=True)
    ]


def _bits(array):
    """Half precision as integers, where tiles of floats are not cut as they are."""
    if _EARLY_XLA and array.dtype.itemsize == 2:
        return jax.lax.bitcast_convert_type(array, jnp.uint16)
    return array

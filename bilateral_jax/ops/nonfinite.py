"""Keeps a NaN or an infinity local where an implementation is dense arithmetic.

A tent that is 0 says that a cell does not matter to a pixel, but `0 * NaN` is NaN, so that in a
matrix product one such number reaches every pixel or cell. Here an implementation runs as it is,
and where the grid (which is small) holds a number that is not finite, a loop computes the result
again from the eight cells around each pixel, row tile by row tile. Without such a number the loop
makes no step. All eight cells are one gather, and one scatter: that compiles in a fraction of the
time of `reference`.
"""

import math

import jax
import jax.numpy as jnp

from bilateral_jax.ops import reference

# Bytes of a row tile's arrays: memory that is reserved, if seldom used.
_TILE_BYTES = 2 << 20


def local(operation: str, function):
    """`function`, an implementation of `operation`, with the reach of `reference` for a NaN.

    Args:
      operation: `"slice_apply"`, `"splat_apply"` or `"guide_vjp"`.
      function: the implementation; takes the operands and parameters of `ops/reference.py` by name.

    Returns:
      A function of the same operands and parameters, by name.
    """
    again = _splat if operation == "splat_apply" else slice_again

    def wrapped(**arguments):
        return again(function(**arguments), **arguments)

    return wrapped


def slice_again(out, *, grid, guide, image=None, values=None, window=None, lattice, order=1, dtype):
    """`out`, computed again if the grid holds a number that is not finite.

    Args:
      out: what an implementation gave: `[n, h, w, o]`; contracted with values `[n, h, w]`.
      grid: `[n, gh, gw, gd, o, j]`.
      guide: `[n, h, w]`, or a function of an image `[n, rows, w, i]` that gives it.
      image: `[n, h, w, i]` or None.
      values: `[n, h, w, o]` for `guide_vjp`, else None.
      window: int32 `[n, 4]` or None.
      lattice: the `Lattice` of these pixels.
      order: 0, or 1 for the derivative in the guide.
      dtype: of the result.

    Returns:
      As `out`.
    """
    learned = guide if callable(guide) else None
    pixels = {"guide": None if learned else guide, "image": image, "values": values}
    accumulate = reference.accumulation_dtype(grid, *pixels.values())
    features = grid.shape[-2:]
    flat = grid.astype(accumulate).reshape(-1, *features)
    rows, count = _tiles(out.shape, *features)

    def step(k, out):
        # The last tile begins early enough to be full; rows it repeats get the same values again.
        first = jnp.minimum(k * rows, out.shape[1] - rows)
        tile = _cut(pixels, first, rows)
        guide = learned(tile["image"]) if learned else tile["guide"]
        index, weight = _corners(guide.astype(accumulate), window, lattice, order, first)
        coefficients = jnp.sum(weight[..., None, None] * flat[index], axis=0)
        part = reference.applied(coefficients, tile["image"], accumulate)
        if values is not None:
            part = jnp.sum(tile["values"].astype(accumulate) * part, axis=-1)
        return jax.lax.dynamic_update_slice_in_dim(out, part.astype(dtype), first, 1)

    return jax.lax.fori_loop(0, jnp.where(jnp.isfinite(grid).all(), 0, count), step, out)


def _splat(out, *, values, guide, image=None, window=None, lattice, order, offset, dtype):
    """`out` `[n, gh, gw, gd, o, j]`, computed again if it holds a number that is not finite."""
    pixels = {"guide": guide, "image": image, "values": values}
    accumulate = reference.accumulation_dtype(*pixels.values())
    features = out.shape[-2:]
    rows, count = _tiles(guide.shape, *features)

    def step(k, total):
        first = jnp.minimum(k * rows, guide.shape[1] - rows)
        tile = _cut(pixels, first, rows)
        own, matrices = reference.splatted(
            **tile, lattice=lattice, offset=offset, accumulate=accumulate
        )
        # Rows that the last tile repeats add nothing.
        counted = first + jnp.arange(rows)[:, None] >= k * rows
        matrices = jnp.where(counted[None, ..., None, None], matrices, 0)
        index, weight = _corners(own, window, lattice, order, first)
        return total.at[index].add(weight[..., None, None] * matrices[None])

    finite = jnp.isfinite(out).all()
    total = jnp.zeros((math.prod(out.shape[:4]), *features), accumulate)
    total = jax.lax.fori_loop(0, jnp.where(finite, 0, count), step, total)
    return jnp.where(finite, out, total.reshape(out.shape).astype(dtype))


def _corners(guide, window, lattice, order, first):
    """The eight cells around each pixel of a row tile, and their weights, each `[8, n, h, w]`.

    Cells by their index in the flattened grids `[n * gh * gw * gd]`.
    """
    rows, columns = (jnp.asarray(lattice.axis_positions(k, window), guide.dtype) for k in (0, 1))
    rows = jax.lax.dynamic_slice_in_dim(rows, first, guide.shape[1], axis=1)
    taps = (
        reference.taps(rows[:, :, None], 0, lattice),
        reference.taps(columns[:, None, :], 1, lattice),
        reference.depth_taps(lattice.depth(guide), lattice, order),
    )
    index, weight = jnp.arange(guide.shape[0])[None, None, None, :, None, None], 1
    for axis, ((lower, low), (upper, high)) in enumerate(taps):
        new = [other for other in range(3) if other != axis]
        cell = jnp.expand_dims(jnp.stack([lower, upper]), new)
        index = index * lattice.grid_shape[axis] + cell
        weight = weight * jnp.expand_dims(jnp.stack([low, high]), new)
    return index.reshape(8, *guide.shape), weight.reshape(8, *guide.shape)


def _tiles(shape, outputs, columns):
    """Rows of a tile of pixels `[n, h, w, ...]`, and the number of tiles."""
    height = shape[1]
    row_bytes = 4 * 8 * (outputs * columns + 2) * shape[0] * shape[2]
    rows = min(max(1, _TILE_BYTES // row_bytes), height)
    return rows, -(-height // rows)


def _cut(pixels, first, rows):
    """Rows of arrays `[n, h, ...]` by name; None stays None."""
    return {
        name: None if array is None else jax.lax.dynamic_slice_in_dim(array, first, rows, 1)
        for name, array in pixels.items()
    }

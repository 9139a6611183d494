"""Lookup in a colour table by the eight nodes around each colour: gather, scatter, contraction.

A colour lies in one cell of the table, between two nodes on each axis. Each of the cell's eight
corners has a weight:

| interpolation | weight of the corner with the axes `A` at the upper node, `f` the fractions |
|---|---|
| trilinear     | `prod_(a in A) f_a  prod_(a not in A) (1 - f_a)` |
| tetrahedral   | `max(min_(a in A) f_a - max_(a not in A) f_a, 0)`: of four corners at most |

The derivative of a weight along axis `a` is `+-1` times the product over the other axes of the same
factors, for trilinear; for tetrahedral of indicators: whether an axis has the larger fraction than
`a` (of equal ones, the axis before it).

Directions are tangents of the image: with one, the weights are their derivative along it; with two,
the mixed second derivative, and so on. An axis is differentiated once at most.

Arrays have one leading axis `n`; sums are float32 (float64 if an input is). On a CPU pixels are
taken tile by tile, whose weights and indices then stay in the cache, and the scatter is a loop over
pixels that adds a whole cell at a time (benchmarks/table_lookup.py).
"""

import functools
import itertools
import math

import jax
import jax.numpy as jnp

from bilateral_jax.ops import reference

INTERPOLATIONS = ("trilinear", "tetrahedral")
# How often an interpolation can be differentiated in the colour before the result is 0.
ORDERS = {"trilinear": 3, "tetrahedral": 1}
# Numbers per pixel in a lookup: weights and indices of eight corners.
FEATURES = 16

_CORNERS = tuple(itertools.product((0, 1), repeat=3))
_TILE_PIXELS = 1 << 15


def lookup(table, image, directions=(), *, interpolation, dtype, tiled):
    """Looks every colour up: `out_c = sum_q weight_q table_qc`.

    Args:
      table: `[n, n_red, n_green, n_blue, c]`.
      image: `[n, h, w, 3]`.
      directions: tangents of the image, `[n, h, w, 3]` each.
      interpolation: one of `INTERPOLATIONS`.
      dtype: of the result.
      tiled: whether pixels are taken tile by tile.

    Returns:
      `[n, h, w, c]`.
    """
    wide = reference.accumulation_dtype(table, image, *directions)
    shape, channels = table.shape[1:4], table.shape[-1]
    nodes = table.astype(wide).reshape(-1, channels)

    def pixels(example, image, *directions):
        cell = _Cell(example, image.astype(wide), shape, interpolation)
        directions = [d.astype(wide) for d in directions]
        weights = [cell.directional(corner, directions) for corner in _CORNERS]
        weights[0] = jnp.where(cell.has_nan, jnp.nan, weights[0])
        # Computed once for a pixel, not again for every channel.
        weights, cell.first_node = jax.lax.optimization_barrier((weights, cell.first_node))
        parts = [
            weight[..., None] * _gather(nodes, cell.node(corner))
            for weight, corner in zip(weights, _CORNERS, strict=True)
        ]
        return functools.reduce(jnp.add, parts).astype(dtype)

    return _over_pixels(pixels, (image, *directions), channels, dtype, tiled)


def contract(values, table, image, directions=(), *, interpolation, dtype, tiled):
    """The cotangent of the image: `out_k = sum_qc d weight_q / d image_k  table_qc values_c`.

    Args:
      values: `[n, h, w, c]`.
      table: see `lookup`.
      image: see `lookup`.
      directions: see `lookup`.
      interpolation: see `lookup`.
      dtype: of the result.
      tiled: see `lookup`.

    Returns:
      `[n, h, w, 3]`.
    """
    wide = reference.accumulation_dtype(values, table, image, *directions)
    shape, channels = table.shape[1:4], table.shape[-1]
    nodes = table.astype(wide).reshape(-1, channels)

    def pixels(example, values, image, *directions):
        cell = _Cell(example, image.astype(wide), shape, interpolation)
        directions = [d.astype(wide) for d in directions]
        values = values.astype(wide)
        total = [jnp.zeros(image.shape[:-1], wide)] * 3
        for corner in _CORNERS:
            node = _gather(nodes, cell.node(corner))
            # A reduction over so short an axis would cost more than all the rest.
            product = sum(node[..., c] * values[..., c] for c in range(channels))
            for axis in range(3):
                total[axis] += cell.directional(corner, directions, (axis,)) * product
        out = jnp.stack(total, axis=-1)
        return jnp.where(cell.has_nan[..., None], jnp.nan, out).astype(dtype)

    return _over_pixels(pixels, (values, image, *directions), 3, dtype, tiled)


def splat(values, image, directions=(), *, table_shape, interpolation, dtype, tiled):
    """The transpose of `lookup` in its table: `table_qc += weight_q values_c`.

    A pixel with a NaN in its colour adds nothing.

    Args:
      values: `[n, h, w, c]`.
      image: see `lookup`.
      directions: see `lookup`.
      table_shape: `(n_red, n_green, n_blue)`.
      interpolation: see `lookup`.
      dtype: of the result.
      tiled: see `lookup`.

    Returns:
      `[n, n_red, n_green, n_blue, c]`.
    """
    wide = reference.accumulation_dtype(values, image, *directions)
    add = _added_in_tiles if tiled else _added_at_once

    def pixels(example, values, image, *directions):
        cell = _Cell(example, image.astype(wide), table_shape, interpolation)
        directions = [d.astype(wide) for d in directions]
        values = jnp.where(cell.has_nan[..., None], 0, values.astype(wide))
        return cell, lambda corner: cell.directional(corner, directions)[..., None] * values

    return add(pixels, (values, image, *directions), table_shape, wide).astype(dtype)


class _Cell:
    """The cells of a table around colours `[..., 3]`.

    A colour with a NaN is marked in `has_nan` and looked up as black.
    """

    def __init__(self, example, image, shape, interpolation):
        self.has_nan = jnp.isnan(image).any(axis=-1)
        self.shape, self.interpolation = shape, interpolation
        self.lower, self.fraction, self.slope = [], [], []
        for axis, nodes in enumerate(shape):
            value = jnp.where(self.has_nan, 0, image[..., axis])
            inside = (value >= 0) & (value < 1)
            position = jnp.clip(value, 0, 1) * (nodes - 1)
            lower = jnp.minimum(jnp.floor(position), max(nodes - 2, 0))
            self.lower.append(lower.astype(jnp.int32))
            self.fraction.append(position - lower)
            self.slope.append(jnp.where(inside, nodes - 1, 0).astype(image.dtype))
        self.example, self.first_node = example, _flat(example, self.lower, shape)

    def node(self, corner):
        """Index of a corner among the nodes of all tables `[n * n_red * n_green * n_blue]`."""
        offset = 0
        for nodes, upper in zip(self.shape, corner, strict=True):
            offset = offset * nodes + min(upper, nodes - 1)
        return self.first_node + offset

    def cell(self):
        """Index of the cell among those of all tables."""
        return _flat(self.example, self.lower, [max(nodes - 1, 1) for nodes in self.shape])

    def directional(self, corner, directions, axes=()):
        """A corner's weight, differentiated along axes and then along directions."""
        if not directions:
            return self.weight(corner, axes)
        first, *rest = directions
        parts = [
            first[..., axis] * self.directional(corner, rest, (*axes, axis))
            for axis in range(3)
            if axis not in axes
        ]
        return functools.reduce(jnp.add, parts)

    def weight(self, corner, axes):
        """A corner's weight, differentiated along axes."""
        factors = [self.slope[axis] * (2 * corner[axis] - 1) for axis in axes]
        if axes:
            factors += [self._factor(axis, corner[axis], axes) for axis in _others(axes)]
        elif self.interpolation == "trilinear":
            factors = [self._factor(axis, corner[axis], axes) for axis in range(3)]
        else:
            upper = [self.fraction[axis] for axis in range(3) if corner[axis]]
            lower = [self.fraction[axis] for axis in range(3) if not corner[axis]]
            least = functools.reduce(jnp.minimum, upper) if upper else 1
            most = functools.reduce(jnp.maximum, lower) if lower else 0
            return jnp.maximum(least - most, 0)
        return functools.reduce(jnp.multiply, factors)

    def _factor(self, axis, upper, axes):
        own = self.fraction[axis]
        if self.interpolation == "trilinear":
            return own if upper else 1 - own
        (other,) = axes
        larger = own >= self.fraction[other] if axis < other else own > self.fraction[other]
        return (larger == bool(upper)).astype(own.dtype)


def _flat(example, position, shape):
    """Index in an array `[n, *shape]`, flattened."""
    index = example
    for own, nodes in zip(position, shape, strict=True):
        index = index * nodes + own
    return index


def _others(axes):
    return [axis for axis in range(3) if axis not in axes]


def _gather(nodes, index):
    return nodes.at[index].get(mode="promise_in_bounds")


def _over_pixels(function, arrays, features, dtype, tiled):
    """`function(example, *pixels)` of arrays `[n, h, w, ...]`: `[n, h, w, features]`."""
    shape = arrays[0].shape[:3]
    if not tiled:
        return function(jnp.arange(shape[0], dtype=jnp.int32)[:, None, None], *arrays)

    def step(first, counted, example, out, *tile):
        del counted
        return jax.lax.dynamic_update_slice_in_dim(out, function(example, *tile), first, 0)

    out = jnp.zeros((math.prod(shape), features), dtype)
    return _over_tiles(step, out, arrays).reshape(*shape, features)


def _over_tiles(step, carried, arrays):
    """Runs `step(first, counted, example, carried, *tile)` on every tile of the pixels.

    The last tile begins early enough to be full; `counted` is False for pixels that it repeats.
    """
    shape = arrays[0].shape[:3]
    pixels, per_example = math.prod(shape), shape[1] * shape[2]
    size = min(_TILE_PIXELS, pixels)
    flat = [array.reshape(pixels, array.shape[-1]) for array in arrays]

    def run(k, carried):
        first = jnp.minimum(k * size, pixels - size)
        index = first + jnp.arange(size, dtype=jnp.int32)
        tile = [jax.lax.dynamic_slice_in_dim(array, first, size, 0) for array in flat]
        example = index // per_example if shape[0] > 1 else jnp.int32(0)
        return step(first, index >= k * size, example, carried, *tile)

    return jax.lax.fori_loop(jnp.int32(0), jnp.int32(-(-pixels // size)), run, carried)


def _added_at_once(pixels, arrays, table_shape, wide):
    """The tables, by a scatter of every corner."""
    examples, channels = arrays[0].shape[0], arrays[0].shape[-1]
    example = jnp.arange(examples, dtype=jnp.int32)[:, None, None]
    cell, part = pixels(example, *arrays)
    total = jnp.zeros((examples * math.prod(table_shape), channels), wide)
    for corner in _CORNERS:
        index = cell.node(corner)
        total = total.at[index].add(part(corner), mode="promise_in_bounds")
    return total.reshape(examples, *table_shape, channels)


def _added_in_tiles(pixels, arrays, table_shape, wide):
    """The tables, by a loop that adds all corners of a pixel's cell, side by side, in one step."""
    examples, channels = arrays[0].shape[0], arrays[0].shape[-1]
    cells = tuple(max(nodes - 1, 1) for nodes in table_shape)

    def step(first, counted, example, total, *tile):
        del first
        cell, part = pixels(example, *tile)
        index = cell.cell()
        added = jnp.concatenate([part(corner) for corner in _CORNERS], axis=-1)
        added = jnp.where(counted[:, None], added, 0)

        def add(p, total):
            own = jax.lax.dynamic_slice(total, (index[p], jnp.int32(0)), (1, added.shape[1]))
            return jax.lax.dynamic_update_slice(
                total, own + added[p][None], (index[p], jnp.int32(0))
            )

        return jax.lax.fori_loop(jnp.int32(0), jnp.int32(len(added)), add, total)

    total = jnp.zeros((examples * math.prod(cells), 8 * channels), wide)
    total = _over_tiles(step, total, arrays).reshape(examples, *cells, 2, 2, 2, channels)
    for axis, nodes in enumerate(table_shape):
        # The corner axis of this table axis is always the first of those that are left.
        beyond = nodes - cells[axis]
        pads = [[(0, 0)] * (total.ndim - 1) for _ in range(2)]
        pads[0][1 + axis], pads[1][1 + axis] = (0, beyond), (beyond, 0)
        total = sum(jnp.pad(total[:, :, :, :, upper], pads[upper]) for upper in (0, 1))
    return total

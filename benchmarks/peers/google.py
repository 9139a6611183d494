"""The formulation of google/hdrnet's JAX code, rewritten from the maths.

Every pixel gathers its eight corners with floor and clamped indices, weighs them with two exact
tents and one smoothed tent, and an `einsum` applies the sliced matrix. The derivatives are built
as there: the grid's from dense tents and one contraction, the guide's from a second slice with the
tent's slope.

Reference: Gharbi, Chen, Barron, Hasinoff, Durand, "Deep Bilateral Learning for Real-Time Image
Enhancement", 2017.
"""

import itertools

import jax
import jax.numpy as jnp

# The smoothing of the depth tent in the original.
_EPSILON = 1e-8


def slice_apply(grid, guide, image):
    """Slices `[gh, gw, gd, o, i + 1]` at `guide` `[h, w]` and applies it to `image` `[h, w, i]`."""
    features = grid.reshape(*grid.shape[:3], -1)
    matrices = slice_grid(features, guide).reshape(*guide.shape, *grid.shape[3:])
    linear, offset = matrices[..., :-1], matrices[..., -1]
    return jnp.einsum("hwoi,hwi->hwo", linear, image) + offset


def gather_slice(grid, guide):
    """Slices `[gh, gw, gd, c]` at `guide` `[h, w]`: `[h, w, c]`; derivatives left to JAX."""
    return _weighted_corners(grid, guide, _smooth_tent)


slice_grid = jax.custom_vjp(gather_slice)


def _slice_grid_fwd(grid, guide):
    return slice_grid(grid, guide), (grid, guide)


def _slice_grid_bwd(residuals, cotangent):
    grid, guide = residuals
    slope = grid.shape[2] * _weighted_corners(grid, guide, _smooth_tent_slope)
    return splat(cotangent, guide, grid.shape), jnp.sum(slope * cotangent, axis=-1)


slice_grid.defvjp(_slice_grid_fwd, _slice_grid_bwd)


def _weighted_corners(grid, guide, depth_weight):
    gh, gw, gd = grid.shape[:3]
    h, w = guide.shape
    y = ((jnp.arange(h) + 0.5) * (gh / h) - 0.5)[:, None]
    x = ((jnp.arange(w) + 0.5) * (gw / w) - 0.5)[None, :]
    z = guide * gd - 0.5
    y0, x0, z0 = (jnp.floor(p).astype(jnp.int32) for p in (y, x, z))
    result = jnp.zeros((h, w, grid.shape[3]), grid.dtype)
    for dy, dx, dz in itertools.product((0, 1), repeat=3):
        weight = _tent(y - (y0 + dy)) * _tent(x - (x0 + dx)) * depth_weight(z0 + dz - z)
        corner = grid[
            jnp.clip(y0 + dy, 0, gh - 1), jnp.clip(x0 + dx, 0, gw - 1), jnp.clip(z0 + dz, 0, gd - 1)
        ]
        result += weight[..., None] * corner
    return result


def splat(values, guide, grid_shape):
    """Its grid VJP: one contraction of rows, columns and dense depth weights with `[h, w, c]`."""
    gh, gw, gd = grid_shape[:3]
    h, w = guide.shape
    rows = _tent(_clamped(jnp.arange(h), h, gh)[:, None] - jnp.arange(gh)[None, :])
    columns = _tent(_clamped(jnp.arange(w), w, gw)[:, None] - jnp.arange(gw)[None, :])
    z = jnp.clip(guide * gd - 0.5, 0, gd - 1)
    depth = _smooth_tent(z[..., None] - jnp.arange(gd)[None, None, :])
    return jnp.einsum("ia,jb,ijc,ijd->abcd", rows, columns, depth, values)


def _clamped(index, size, cells):
    return jnp.clip((index + 0.5) * (cells / size) - 0.5, 0, cells - 1)


def _tent(distance):
    return jnp.maximum(1 - jnp.abs(distance), 0)


def _smooth_tent(distance):
    return jnp.maximum(1 - jnp.sqrt(distance**2 + _EPSILON), 0)


def _smooth_tent_slope(distance):
    """Derivative of the smoothed tent at `corner - position`, in the position."""
    length = jnp.sqrt(distance**2 + _EPSILON)
    return jnp.where(length <= 1, distance / length, 0)

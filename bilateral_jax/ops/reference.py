"""The definition of slicing and splatting, in plain `jax.numpy`, short enough to read.

Every pixel lies between two cells on each axis, so in a cube of eight; slicing averages the eight
with the product of three tent weights, and splatting is its transpose. Every other implementation
is tested against this one, and this one against float64 loops.

All implementations have these three signatures and trust their input (`ops/bilateral.py` checks
and shapes it): one leading axis `n`, one grid feature matrix `[o, j]`. With an image of `i`
channels, `j` is `i` (linear) or `i + 1` (offset last); without an image, `j` is 1 and slicing
returns the features themselves.
"""

import itertools

import jax
import jax.numpy as jnp
from jax import export

from bilateral_jax import lattice as lattice_lib


def slice_apply(grid, guide, image=None, window=None, *, lattice, order, dtype):
    """Slices a grid at every pixel and applies the matrix to the pixel.

    `out_o = sum_j A_oj e_j` with `e = (image, 1)`.

    Args:
      grid: `[n, gh, gw, gd, o, j]`.
      guide: `[n, h, w]`.
      image: `[n, h, w, i]`, or None for the sliced features alone.
      window: int32 `[n, 4]`, (top, left, full height, full width) per example, or None for the
        lattice's own.
      lattice: the `Lattice` of these pixels.
      order: 0 for the value; 1 for its derivative in the guide.
      dtype: of the result; sums are float32 (float64 if an input is).

    Returns:
      `[n, h, w, o]`.
    """
    accumulate = accumulation_dtype(grid, guide, image)
    grid, guide = grid.astype(accumulate), guide.astype(accumulate)
    if any(map(export.is_symbolic_dim, guide.shape)):
        return _row_by_row(grid, guide, image, window, lattice, order, dtype)
    return applied(_slice(grid, guide, window, lattice, order), image, dtype)


def _row_by_row(grid, guide, image, window, lattice, order, dtype):
    """`slice_apply` with the matrices of one row in memory at a time, for images of any size."""
    rows, columns = _positions(window, lattice, guide.dtype)

    def row(arrays):
        position, guide, image = (array if array is None else array[:, None] for array in arrays)
        coefficients = _interpolated(grid, position, columns, guide, lattice, order)
        return applied(coefficients, image, dtype)[:, 0]

    arrays = (rows, guide, image)
    arrays = [array if array is None else jnp.moveaxis(array, 1, 0) for array in arrays]
    return jnp.moveaxis(jax.lax.map(row, tuple(arrays)), 0, 1)


def applied(coefficients, image, dtype):
    """`[n, h, w, o]`: one matrix `[o, j]` per pixel, applied to the image, or as it is without."""
    if image is None:
        return coefficients[..., 0].astype(dtype)
    image = image.astype(coefficients.dtype)
    out = jnp.sum(coefficients[..., : image.shape[-1]] * image[..., None, :], axis=-1)
    if coefficients.shape[-1] > image.shape[-1]:
        out += coefficients[..., -1]
    return out.astype(dtype)


def splat_apply(values, guide, image=None, window=None, *, lattice, order, offset, dtype):
    """The transpose of `slice_apply` in its grid: `grid[..., o, j] += weight * values_o * e_j`.

    A pixel whose position along gd is NaN adds nothing.

    Args:
      values: `[n, h, w, o]`.
      guide: `[n, h, w]`.
      image: `[n, h, w, i]` or None.
      window: as in `slice_apply`.
      lattice: the `Lattice` of these pixels.
      order: 0, or 1 for the derivative in the guide.
      offset: whether `e` ends in a 1; always true without an image.
      dtype: of the result.

    Returns:
      `[n, gh, gw, gd, o, j]`.
    """
    accumulate = accumulation_dtype(values, guide, image)
    guide, matrices = splatted(values, guide, image, lattice, offset, accumulate)
    shape = (values.shape[0], *lattice.grid_shape, *matrices.shape[-2:])
    transpose = jax.linear_transpose(
        lambda grid: _slice(grid, guide, window, lattice, order),
        jax.ShapeDtypeStruct(shape, accumulate),
    )
    return transpose(matrices)[0].astype(dtype)


def splatted(values, guide, image, lattice, offset, accumulate):
    """The guide, and the matrix `[n, h, w, o, j]` that each pixel adds; 0 where it adds nothing."""
    guide = guide.astype(accumulate)
    lost = jnp.isnan(lattice.plane_positions(guide, 0))
    extended = [] if image is None else [image.astype(accumulate)]
    if offset:
        extended.append(jnp.ones((*guide.shape, 1), accumulate))
    matrices = values.astype(accumulate)[..., None] * jnp.concatenate(extended, -1)[..., None, :]
    return jnp.where(lost, 0, guide), jnp.where(lost[..., None, None], 0, matrices)


def guide_vjp(values, grid, guide, image=None, window=None, *, lattice, dtype):
    """Cotangent of `slice_apply`'s guide: `sum_o values_o * slope_o`.

    Args:
      values: `[n, h, w, o]`, the cotangent of `slice_apply`'s result.
      grid: `[n, gh, gw, gd, o, j]`.
      guide: `[n, h, w]`.
      image: `[n, h, w, i]` or None.
      window: int32 `[n, 4]` or None.
      lattice: the `Lattice` of these pixels.
      dtype: of the result.

    Returns:
      `[n, h, w]`.
    """
    return contracted_slope(
        slice_apply, values, grid, guide, image, window, lattice=lattice, dtype=dtype
    )


def contracted_slope(slice_apply, values, grid, guide, image=None, window=None, *, lattice, dtype):
    """`guide_vjp` by means of any `slice_apply`."""
    wide = accumulation_dtype(values, grid, guide, image)
    slope = slice_apply(grid, guide, image, window, lattice=lattice, order=1, dtype=wide)
    return jnp.sum(values.astype(wide) * slope, axis=-1).astype(dtype)


def accumulation_dtype(*arrays):
    """The dtype of sums and positions: float64 if an input is, else float32."""
    wide = any(array is not None and array.dtype == jnp.float64 for array in arrays)
    return jnp.float64 if wide else jnp.float32


def _slice(grid, guide, window, lattice, order):
    """Per-pixel features `[n, h, w, o, j]` of a grid `[n, gh, gw, gd, o, j]`."""
    rows, columns = _positions(window, lattice, guide.dtype)
    return _interpolated(grid, rows, columns, guide, lattice, order)


def _positions(window, lattice, dtype):
    """Positions of the rows and of the columns along gh and gw, `[1 or n, pixels]` each."""
    return (jnp.asarray(lattice.axis_positions(k, window), dtype) for k in (0, 1))


def _interpolated(grid, rows, columns, guide, lattice, order):
    """`_slice` at given positions of the rows and columns."""
    example = jnp.arange(grid.shape[0])[:, None, None]
    result = jnp.zeros((*guide.shape, *grid.shape[-2:]), grid.dtype)
    for (y, y_weight), (x, x_weight), (z, z_weight) in itertools.product(
        taps(rows[:, :, None], 0, lattice),
        taps(columns[:, None, :], 1, lattice),
        depth_taps(lattice.depth(guide), lattice, order),
    ):
        weight = y_weight * x_weight * z_weight
        result += weight[..., None, None] * grid[example, y, x, z]
    return result


def taps(position, axis, lattice):
    """The two (cell index, weight) of each position along one grid axis."""
    lower, upper, fraction = lattice_lib.corners(
        position, lattice.grid_shape[axis], lattice.boundary[axis]
    )
    return (lower, 1 - fraction), (upper, fraction)


def depth_taps(depth, lattice, order):
    """`taps` along gd, or their derivatives in the guide.

    The weights have a kink at each cell centre; the derivative there is the one to the right. In
    the clamped ranges beyond the outermost centres it is 0.
    """
    pair = taps(depth, 2, lattice)
    if order == 0:
        return pair
    slope = jnp.full_like(depth, lattice.depth_scale)
    if lattice.boundary[2] == "clamp":
        slope = jnp.where((depth >= 0) & (depth < lattice.grid_shape[2] - 1), slope, 0)
    (lower, _), (upper, _) = pair
    return (lower, -slope), (upper, slope)

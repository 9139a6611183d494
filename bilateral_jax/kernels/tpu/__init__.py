"""Slice and splat for TPUs (Mosaic): the matrix unit along gw, tents along gh and gd, no gather.

An image `[n, h, w, c]` is seen as planes `[n, c, h, w]`: three channels in the last axis would
leave 125 of 128 lanes empty.
"""

import jax.numpy as jnp
import numpy as np

from bilateral_jax.kernels.tpu import guided, slicing, splatting, tiling

_DTYPES = ("float32", "bfloat16")


def slice_apply(grid, guide, image=None, window=None, *, lattice, order, dtype):
    """Slices a grid and applies each pixel's matrix, as `ops/reference.py` defines it.

    Args:
      grid: `[n, gh, gw, gd, o, j]`.
      guide: `[n, h, w]`.
      image: `[n, h, w, i]`, or None for the sliced features alone.
      window: int32 `[n, 4]` or None.
      lattice: the `Lattice` of these pixels.
      order: 0 for the value; 1 for its derivative in the guide.
      dtype: of the result; sums are float32.

    Returns:
      `[n, h, w, o]`.
    """
    if not lattice.plane_count(order) or not guide.size:
        return jnp.zeros((*guide.shape, grid.shape[-2]), dtype)
    return _slice(grid, guide, image, window, lattice, order, dtype)


def guide_vjp(values, grid, guide, image=None, window=None, *, lattice, dtype):
    """Cotangent of the guide in one kernel, as `ops/reference.py` defines it.

    Args:
      values: `[n, h, w, o]`, the cotangent of the slice.
      grid: `[n, gh, gw, gd, o, j]`.
      guide: `[n, h, w]`.
      image: `[n, h, w, i]` or None.
      window: int32 `[n, 4]` or None.
      lattice: the `Lattice` of these pixels.
      dtype: of the result.

    Returns:
      `[n, h, w]`.
    """
    if not lattice.plane_count(1) or not guide.size:
        return jnp.zeros(guide.shape, dtype)
    out = _slice(
        grid,
        guide,
        image,
        window,
        lattice,
        1,
        jnp.float32,
        values=_planar(values),
        name="bilateral_guide_vjp_tpu",
    )
    return out.sum(-1).astype(dtype)


def guided_slice_apply(grid, image, parameters, window=None, *, lattice, guide, dtype):
    """Slices and applies a grid at a learned guide of each pixel's colour; forward only.

    The kernel computes the guide: an image is read once and written once.

    Args:
      grid: `[n, gh, gw, gd, o, j]`.
      image: `[n, h, w, 3]`.
      parameters: of the guide, by name, see `guided.py`.
      window: int32 `[n, 4]` or None.
      lattice: the `Lattice` of these pixels.
      guide: `"curves"` or `"pointwise"`.
      dtype: of the result.

    Returns:
      `[n, h, w, o]`.

    Reference: Gharbi et al. 2017, section 3.4.1.
    """
    numbers, learned = guided.learned(guide, parameters)
    name = f"bilateral_guided_slice_apply_tpu_{guide}"
    return _slice(grid, numbers, image, window, lattice, 0, dtype, learned=learned, name=name)


def _slice(grid, guide, image, window, lattice, order, dtype, **options):
    outputs, columns = grid.shape[-2:]
    cells = lattice.plane_cells(order)
    grid = jnp.einsum(
        "nyxzoj,uz->nojyux",
        grid.astype(jnp.float32),
        _full_registers(cells),
        precision=slicing.EXACT,
    )
    out = slicing.slice_planar(
        grid.reshape(*grid.shape[:3], -1, grid.shape[-1]),
        guide,
        _planar(image),
        window,
        lattice=lattice,
        order=order,
        planes=len(cells),
        dtype=dtype,
        tile=_tile(lattice, outputs, columns, len(cells), image),
        **options,
    )
    return jnp.moveaxis(out, 1, -1)


def splat_apply(values, guide, image=None, window=None, *, lattice, order, offset, dtype):
    """The transpose of `slice_apply` in its grid, as `ops/reference.py` defines it.

    Args:
      values: `[n, h, w, o]`.
      guide: `[n, h, w]`.
      image: `[n, h, w, i]` or None.
      window: int32 `[n, 4]` or None.
      lattice: the `Lattice` of these pixels.
      order: 0, or 1 for the derivative in the guide.
      offset: whether the image is followed by a 1; always true without one.
      dtype: of the result.

    Returns:
      `[n, gh, gw, gd, o, j]`.
    """
    outputs = values.shape[-1]
    columns = (0 if image is None else image.shape[-1]) + int(offset)
    cells = lattice.plane_cells(order)
    if not len(cells) or not guide.size:
        return jnp.zeros((guide.shape[0], *lattice.grid_shape, outputs, columns), dtype)
    grid = splatting.splat_planar(
        _planar(values),
        guide,
        _planar(image),
        window,
        lattice=lattice,
        order=order,
        offset=offset,
        planes=len(cells),
        tile=_tile(lattice, outputs, columns, len(cells), image),
    )
    cells, planes = _full_registers(cells), grid.shape[-1] // lattice.grid_shape[0]
    grid = grid.sum(1).reshape(*grid.shape[:1], *grid.shape[2:5], -1, planes)
    return jnp.einsum("nojxyu,uz->nyxzoj", grid, cells, precision=slicing.EXACT).astype(dtype)


def unsupported(
    operation: str,
    *,
    lattice,
    outputs: int,
    columns: int,
    order: int,
    dtypes: tuple,
    window: bool,
) -> str | None:
    """Why the kernels cannot run a call.

    Args:
      operation: `"slice_apply"` or `"splat_apply"`.
      lattice: the `Lattice`.
      outputs: rows of the feature matrix.
      columns: its columns.
      order: 0 or 1.
      dtypes: of the arrays and of the result.
      window: whether windows are traced.

    Returns:
      The reason, or None if they can.
    """
    del operation, window  # both operations keep the same arrays; windows only change the tents
    others = sorted({jnp.dtype(dtype).name for dtype in dtypes} - {*_DTYPES, "int32"})
    if others:
        return f"TPU kernels take float32 and bfloat16, not {', '.join(others)}"
    planes = lattice.plane_count(order)
    if tiling.choose(lattice, outputs=outputs, columns=columns, planes=planes, channels=columns):
        return None
    return (
        f"a grid of shape {lattice.grid_shape} with {columns} matrix columns does not fit a TPU's "
        f"vector memory ({tiling.BUDGET_BYTES >> 20} MiB)"
    )


def _tile(lattice, outputs, columns, planes, image):
    channels = 0 if image is None else image.shape[-1]
    return tiling.choose(
        lattice, outputs=outputs, columns=columns, planes=planes, channels=channels
    )


def _planar(pixels):
    return None if pixels is None else jnp.moveaxis(pixels, -1, 1)


def _full_registers(cells):
    """Pads `[plane, gd]` with planes of weight 0 to full vector registers."""
    planes = tiling.padded(len(cells), tiling.SUBLANES)
    return np.pad(cells, ((0, planes - len(cells)), (0, 0)))

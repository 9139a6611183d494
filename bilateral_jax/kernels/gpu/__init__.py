"""The kernels for NVIDIA GPUs, through Pallas and Triton.

One module per operation: `slicing.py` slices a grid and applies it, `splatting.py` is its
transpose, `guided.py` slices with a guide that it computes itself. They share `tiling.py` and the
tile sizes in `tuning.py`.
"""

import jax.numpy as jnp

from bilateral_jax.kernels.gpu.guided import guided_slice_apply as guided_slice_apply
from bilateral_jax.kernels.gpu.slicing import guide_vjp as guide_vjp
from bilateral_jax.kernels.gpu.slicing import slice_apply as slice_apply
from bilateral_jax.kernels.gpu.splatting import splat_apply as splat_apply

# A program holds one row of a pixel's matrix, or the sums for it, in registers.
_MOST_COLUMNS = 16
_DTYPES = (jnp.float32, jnp.bfloat16, jnp.float16)


def unsupported(
    operation: str, *, lattice, outputs: int, columns: int, order: int, dtypes: tuple, window: bool
) -> str | None:
    """Why the kernels cannot run a call, or None if they can.

    Args:
      operation: `"slice_apply"` or `"splat_apply"`.
      lattice: the `Lattice`; any is taken.
      outputs: `o` of the matrices; any.
      columns: `j` of the matrices.
      order: 0 or 1; both are taken.
      dtypes: of the arrays and of the result.
      window: whether there is a traced window; either is taken.
    """
    del lattice, outputs, order, window
    wide = sorted(
        {str(jnp.dtype(dtype)) for dtype in dtypes} - {str(jnp.dtype(d)) for d in _DTYPES}
    )
    if wide:
        return f"{operation} on a GPU accumulates in float32 and does not take {', '.join(wide)}"
    if columns > _MOST_COLUMNS:
        return (
            f"{operation} on a GPU takes matrices of up to {_MOST_COLUMNS} columns, not {columns}"
        )
    return None

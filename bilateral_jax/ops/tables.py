"""Colour tables: lookup of every pixel's colour in a 3D table, and the identity table.

A table `[n_red, n_green, n_blue, c]` holds `c` numbers at the nodes of a regular lattice over the
colours: `table[i, j, k]` belongs to the colour `(i / (n_red - 1), j / (n_green - 1), k / (n_blue -
1))`. Files and other libraries store blue first; their readers transpose.
"""

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax.ops import bilateral, checks, table_corners, table_primitives


def table_lookup(table, image, *, interpolation: str = "trilinear") -> jax.Array:
    """Interpolates a 3D colour table at every pixel's colour.

    `out = sum_ijk weight(p_r - i, p_g - j, p_b - k) table[i, j, k]` with positions `p_r = red *
    (n_red - 1)` and alike, clamped to the nodes.

    Args:
      table: `[*b, n_red, n_green, n_blue, c]`; the numbers of nodes may differ between axes. Its
        leading axes broadcast against the image's: one table for a batch, or a table per image.
      image: `[*b, h, w, 3]`, red, green, blue in [0, 1]; outside it clamps; a NaN makes that pixel
        NaN and no other, and adds nothing to the gradient of the table.
      interpolation: `"trilinear"`, between the eight nodes around a colour; or `"tetrahedral"`,
        between four of them: the cell is cut into six tetrahedra along its diagonal from dark to
        bright, so that greys are interpolated between greys alone.

    Returns:
      `[*b, h, w, c]`, not clipped, in the promoted dtype of table and image, summed in float32
      (float64 if an input is).

    Raises:
      TypeError: if table or image are not floating point (integer pixels must be scaled first).
      ValueError: for too few axes, an image of other than three channels, leading axes that do not
        broadcast, an unknown interpolation.

    Convention:
      Nodes at 0 and 1. At a node the derivative in the colour is the one to the right, and 0 where
      the colour clamps: so at 1, too. Where two fractions are equal the tetrahedral derivative is
      that of the tetrahedron with the earlier channel first.

    Reference:
      Zeng, Cai, Li, Cao, Zhang 2020 (Learning image-adaptive 3D lookup tables), section 3.2;
      Kasson, Nin, Plouffe, Hafner 1995 (Performing color space conversions with three-dimensional
      linear interpolation), sections 3 and 4.
    """
    table = checks.floating("table", table, 4, "[*b, n_red, n_green, n_blue, c]")
    image = checks.floating("image", image, 3, "[*b, h, w, 3]")
    if image.shape[-1] != 3:
        raise ValueError(
            f"image must end in 3 channels (red, green, blue), got shape {image.shape}"
        )
    check_interpolation(interpolation)
    batch = checks.broadcast(table=table.shape[:-4], image=image.shape[:-3])
    out = table_primitives.lookup(
        bilateral.fold(table, batch, 4),
        bilateral.fold(image, batch, 3),
        interpolation=interpolation,
        dtype=jnp.promote_types(table.dtype, image.dtype),
    )
    return out.reshape(*batch, *out.shape[1:])


def check_interpolation(interpolation):
    """Checks how a table is interpolated.

    Args:
      interpolation: the caller's argument or a network's field of that name.

    Raises:
      ValueError: it is neither "trilinear" nor "tetrahedral".
    """
    known = table_corners.INTERPOLATIONS
    if interpolation not in known:
        raise ValueError(f"interpolation must be one of {known}, got {interpolation!r}")


def identity_table(nodes: int | tuple[int, int, int], *, dtype=jnp.float32) -> jax.Array:
    """The table that leaves every colour in [0, 1] unchanged.

    Args:
      nodes: on every axis, at least 2; or `(n_red, n_green, n_blue)`.
      dtype: floating-point dtype of the result.

    Returns:
      `[n_red, n_green, n_blue, 3]`.

    Raises:
      ValueError: for numbers of nodes that are not ints of 2 or more.
      TypeError: if `dtype` is not floating point.
    """
    shape = (nodes,) * 3 if isinstance(nodes, int | np.integer) else nodes
    if (
        not isinstance(shape, tuple | list)
        or len(shape) != 3
        or any(not isinstance(n, int | np.integer) or n < 2 for n in shape)
    ):
        raise ValueError(f"nodes must be an int of 2 or more, or three of them, got {nodes!r}")
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"dtype must be floating point, got {jnp.dtype(dtype)}")
    axes = [np.linspace(0, 1, n) for n in shape]
    return jnp.asarray(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1), dtype)

"""Normal equations of regularised least squares in an affine grid.

The unknown of one example is the difference D of the grid from the identity. With S for slice and
apply, W for the weights (divided by their mean over the cells) and K for the squared second
differences, `(S' W S + smoothness K + identity) D = S' W (target - image)`. S' is a splat, so
nothing larger than the image and the grid is stored.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax import lattice as lattice_lib
from bilateral_jax.ops import bilateral

_HIGHEST = jax.lax.Precision.HIGHEST


@dataclasses.dataclass(frozen=True)
class NormalEquations:
    """The equations of one example; traceable.

    Attributes:
      image: `[h, w, c]`.
      target: `[h, w, c]`.
      guide: `[h, w]`.
      weights: `[h, w]`, >= 0.
      smoothness: factor of the squared second differences.
      identity: factor of the squared difference from the identity.
      shape: `(gh, gw, gd)`.
      convention: as for `slice_apply`.
      boundary: of gh, gw and gd.
    """

    image: jax.Array
    target: jax.Array
    guide: jax.Array
    weights: jax.Array
    smoothness: jax.Array
    identity: jax.Array
    shape: tuple[int, int, int]
    convention: lattice_lib.Convention
    boundary: tuple[lattice_lib.Boundary, ...]

    def left(self, difference) -> jax.Array:
        """The matrix of the equations times a grid.

        Args:
          difference: `[gh, gw, gd, c, c + 1]`.
        """
        sliced = self.weights[..., None] * self._slice_apply(difference)
        (splat,) = jax.linear_transpose(self._slice_apply, difference)(sliced)
        regular = self.smoothness * _squared_differences(difference, self.boundary)
        return self._scale() * splat + regular + self.identity * difference

    def right(self):
        """The right-hand side, and a function that divides a grid by nearly the matrix.

        That approximation is one block per cell: the splat of its pixels' `w [image, 1] [image,
        1]'`, which is the data term with each pixel's matrix in one cell, and the diagonal of the
        other two terms.

        Returns:
          (`[gh, gw, gd, c, c + 1]`, the preconditioner.)
        """
        ones = jnp.ones_like(self.image[..., :1])
        columns = jnp.concatenate([self.image, ones], axis=-1)
        both = jnp.concatenate([columns, self.target - self.image], axis=-1)
        moments = (self.weights[..., None] * columns)[..., None] * both[..., None, :]
        cells = self._scale() * bilateral.splat(moments, self.guide, self.shape, **self._options())
        size = columns.shape[-1]
        diagonal = self.smoothness * _diagonal(self.shape, self.boundary) + self.identity
        eye = jnp.eye(size, dtype=cells.dtype).reshape(1, 1, 1, size, size)
        inverse = jnp.linalg.inv(cells[..., :size] + diagonal[..., None, None] * eye)
        # A preconditioner must be symmetric.
        inverse = jax.lax.stop_gradient(inverse + jnp.swapaxes(inverse, -1, -2)) / 2

        def precondition(grid):
            return jnp.einsum("...on,...nm->...om", grid, inverse, precision=_HIGHEST)

        return jnp.swapaxes(cells[..., size:], -1, -2), precondition

    def _options(self):
        return {"convention": self.convention, "boundary": self.boundary}

    def _slice_apply(self, grid):
        return bilateral.slice_apply(grid, self.guide, self.image, offset=True, **self._options())

    def _scale(self):
        """Makes the data term a mean over the pixels, as the others are over the cells."""
        total = jnp.sum(self.weights)
        return np.prod(self.shape) / jnp.where(total > 0, total, 1)


def _matrices(shape, boundary) -> list[np.ndarray]:
    """`D' D` of the second differences D along gh, gw and gd: float64 `[cells, cells]` each."""
    found = []
    for cells, edge in zip(shape, boundary, strict=True):
        rows = range(cells) if edge == "wrap" else range(1, cells - 1)
        differences = np.zeros((len(rows), cells))
        for row, k in enumerate(rows):
            for shift, weight in ((-1, 1.0), (0, -2.0), (1, 1.0)):
                differences[row, (k + shift) % cells] += weight
        found.append(differences.T @ differences)
    return found


def _squared_differences(grid, boundary):
    """Half the gradient of the sum of the squared second differences, along all three axes."""
    total = jnp.zeros_like(grid)
    for axis, matrix in enumerate(_matrices(grid.shape[:3], boundary)):
        product = jnp.tensordot(
            jnp.asarray(matrix, grid.dtype), grid, (1, axis), precision=_HIGHEST
        )
        total += jnp.moveaxis(product, 0, axis)
    return total


def _diagonal(shape, boundary) -> np.ndarray:
    """Diagonal of `_squared_differences`: float32 `shape`."""
    total = np.zeros(shape)
    for axis, matrix in enumerate(_matrices(shape, boundary)):
        total += np.diag(matrix).reshape([-1 if k == axis else 1 for k in range(3)])
    return total.astype(np.float32)

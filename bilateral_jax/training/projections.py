"""Constraints that hold after every update, as the last transformation of an optimiser.

optimizer = optax.chain(
optax.adam(1e-4),
projections.after_update(projections.orthonormal_columns, mask=mask),
)
"""

import jax
import jax.numpy as jnp
import optax


def after_update(project, *, mask=None):
    """Makes an optax transformation that projects the updated weights onto a constraint.

    It replaces an update `u` of the weights `w` by `project(w + u) - w`, so it must be the last of
    a chain.

    Args:
      project: array -> array of the same shape that satisfies the constraint.
      mask: pytree of bool like the weights, or a function of the weights that returns one: which
        leaves are projected. None for all.

    Returns:
      An `optax.GradientTransformation` without state.

    Raises:
      ValueError: `update` was called without the weights.
    """

    def change(updates, params):
        if params is None:
            raise ValueError("a projection needs the weights: call update(updates, state, params)")
        return jax.tree.map(lambda u, w: project(w + u) - w, updates, params)

    transformation = optax.stateless(change)
    return transformation if mask is None else optax.masked(transformation, mask)


def orthonormal_columns(matrix):
    """Orthonormalises the columns of matrices by a QR decomposition.

    The signs are those that leave an orthonormal matrix as it is (R with a positive diagonal).

    Args:
      matrix: float `[..., m, n]` with m >= n.

    Returns:
      `[..., m, n]`, `q` with `q^T q = 1` and the same column space.

    Raises:
      ValueError: fewer rows than columns.
    """
    if matrix.ndim < 2 or matrix.shape[-2] < matrix.shape[-1]:
        raise ValueError(
            f"matrix must be [..., m, n] with m >= n for orthonormal columns, got {matrix.shape}"
        )
    q, r = jnp.linalg.qr(matrix)
    signs = jnp.where(jnp.diagonal(r, axis1=-2, axis2=-1) < 0, -1.0, 1.0).astype(q.dtype)
    return q * signs[..., None, :]

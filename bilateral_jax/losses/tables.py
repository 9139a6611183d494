"""Regularizers of 3D colour tables.

Reference: Zeng, Cai, Li, Cao and Zhang 2020, "Learning image-adaptive 3D lookup tables for high
performance photo enhancement in real-time", section 3.4, and the published code.
"""

import jax
import jax.numpy as jnp
import numpy as np

_AXES = (-4, -3, -2)


def total_variation(table) -> jax.Array:
    """Total variation of a table: mean squared differences of neighbouring nodes, axes summed.

    As in the published code, the first and the last difference of an axis count twice.

    Args:
      table: float `[*b, n_red, n_green, n_blue, c]`.

    Returns:
      float32 `[*b]`; an axis of one node adds nothing.

    Raises:
      ValueError: fewer than four axes.
    """
    total = 0.0
    for axis, difference in _differences(table):
        weight = np.ones(difference.shape[axis], np.float32)
        weight[[0, -1]] = 2
        weight = weight.reshape((-1,) + (1,) * (-axis - 1))
        weight = weight.reshape((1,) * (difference.ndim - weight.ndim) + weight.shape)
        total += jnp.mean(jnp.square(difference) * weight, axis=(*_AXES, -1))
    return total


def monotonicity(table) -> jax.Array:
    """How much a table decreases along its axes: mean of `max(-difference, 0)`, axes summed.

    Args:
      table: float `[*b, n_red, n_green, n_blue, c]`.

    Returns:
      float32 `[*b]`, 0 where no output falls as an input rises; an axis of one node adds nothing.

    Raises:
      ValueError: fewer than four axes.
    """
    total = 0.0
    for _, difference in _differences(table):
        total += jnp.mean(jnp.maximum(-difference, 0), axis=(*_AXES, -1))
    return total


def _differences(table):
    """Pairs (axis, differences of neighbouring nodes) of the axes of more than one node."""
    shape = jnp.shape(table)
    if len(shape) < 4:
        raise ValueError(f"table must be [*b, n_red, n_green, n_blue, c], got {shape}")
    table = jnp.asarray(table, jnp.float32)
    return [(axis, jnp.diff(table, axis=axis)) for axis in _AXES if shape[axis] > 1]

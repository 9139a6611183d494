"""Differentiable operators whose parameters are tuned by gradient descent for a single photo.

The operator is the identity where all parameters are 0, so the sum of their squares measures its
strength and serves as the penalty.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import bilateral_jax as bj
from bilateral_jax import color
from bilateral_jax.filters import local_laplacian
from bilateral_jax.losses import regularizers

KINDS = ("grid", "local_laplacian")
_SAMPLES = 12
CELLS = (4, 4, 4)
_LAPLACIAN = ("alpha", "beta", "sigma", "saturation")


class TunableOperator(NamedTuple):
    """An operator with parameters.

    Attributes:
      identity: pytree of parameters, all 0, with which the operator changes nothing.
      apply: `(parameters, image [h, w, 3]) -> [h, w, 3]`, differentiable in both; the same
        parameters serve a photo and its low-resolution copy.
      strength: `parameters -> scalar`, 0 for `identity`, quadratic in the parameters.
      describe: `parameters -> {name: float}`, in the operator's own units.
    """

    identity: Any
    apply: Callable
    strength: Callable
    describe: Callable


def make(kind, *, cells=CELLS):
    """Makes an operator by name.

    Args:
      kind: "local_laplacian", the local Laplacian filter with four parameters: alpha (detail), beta
        (range), sigma (the limit between detail and edges, in stops), saturation. "grid": the
        affine matrices of a bilateral grid, guided by luminance.
      cells: rows, columns and depth of the grid.

    Returns:
      A `TunableOperator`.

    Raises:
      ValueError: unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"operator must be one of {KINDS}, got {kind!r}")
    return _local_laplacian() if kind == "local_laplacian" else _grid(tuple(cells))


def _local_laplacian():
    def options(parameters):
        return {name: jnp.exp(value) for name, value in parameters.items()}

    def apply(parameters, image):
        # sigma is a parameter, so the number of samples cannot follow it. This is the number of the
        # published rows; where alpha leaves 1 it is coarse (docs/filters.md).
        return local_laplacian.enhance(image, **options(parameters), samples=_SAMPLES)

    return TunableOperator(
        dict.fromkeys(_LAPLACIAN, jnp.zeros(())),
        apply,
        lambda parameters: sum(jnp.square(value) for value in parameters.values()),
        lambda parameters: {name: float(v) for name, v in options(parameters).items()},
    )


def _grid(cells):
    identity = jnp.eye(3, 4)

    def matrices(change):
        return jnp.broadcast_to(identity, change.shape) + change

    def apply(change, image):
        guide = color.luminance(image)
        return jnp.clip(bj.slice_apply(matrices(change), guide, image), 0.0, 1.0)

    def strength(change):
        # The total variation penalises patterns, which need neighbouring cells to differ.
        variation = bj.total_variation(change, feature_axes=2)
        return 1000.0 * (regularizers.identity_distance(matrices(change)) + variation)

    def describe(change):
        return {
            "mean change of a matrix entry": float(jnp.abs(change).mean()),
            "largest change": float(jnp.abs(change).max()),
        }

    return TunableOperator(jnp.zeros((*cells, 3, 4)), apply, strength, describe)


def perturb(key, parameters, scale):
    """Adds Gaussian noise to parameters; some have no gradient at 0.

    Args:
      key: random key.
      parameters: pytree of arrays.
      scale: standard deviation of the noise.

    Returns:
      A pytree of the same structure.
    """
    leaves, structure = jax.tree.flatten(parameters)
    keys = jax.random.split(key, len(leaves))
    perturbed = [
        x + scale * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, perturbed)

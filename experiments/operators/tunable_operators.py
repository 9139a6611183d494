"""Operators whose own parameters can be tuned by gradient descent, photo by photo.

Parameters are numbers around 0, where 0 changes nothing; so their squares say how strong the
operator is, and pull against whatever wants it stronger.

Receives names from experiments/tune_photo.py.
Hands functions of parameters and photos back.
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
CELLS = (4, 4, 4)
_LAPLACIAN = ("alpha", "beta", "sigma", "saturation")


class Adjustable(NamedTuple):
    """An operator with parameters.

    Attributes:
      zero: pytree of parameters that change nothing.
      apply: `(parameters, image [h, w, 3]) -> [h, w, 3]`, differentiable in both; the same
        parameters suit a photo and its small copy.
      strength: `parameters -> scalar`, 0 for `zero`, growing as their squares.
      tell: `parameters -> {name: float}`, in the operator's own units.
    """

    zero: Any
    apply: Callable
    strength: Callable
    tell: Callable


def make(kind, *, cells=CELLS):
    """Looks an operator up.

    Args:
      kind: "local_laplacian", the filter of photos with four parameters: alpha (detail), beta
        (range), sigma (the limit between the two, in stops), saturation. "grid": the matrices of a
        bilateral grid, guided by luminance.
      cells: of the grid: rows, columns, depth.

    Returns:
      An `Adjustable`.

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
        return local_laplacian.enhance(image, **options(parameters))

    return Adjustable(
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
        # Neighbouring cells that differ are what a pattern is made of.
        apart = bj.total_variation(change, feature_axes=2)
        return 1000.0 * (regularizers.identity_distance(matrices(change)) + apart)

    def tell(change):
        return {
            "mean change of a matrix entry": float(jnp.abs(change).mean()),
            "largest change": float(jnp.abs(change).max()),
        }

    return Adjustable(jnp.zeros((*cells, 3, 4)), apply, strength, tell)


def drawn(key, parameters, scale):
    """Moves parameters away from where some of them have no slope, at random.

    Args:
      key: random key.
      parameters: pytree of arrays.
      scale: standard deviation.

    Returns:
      The same pytree, moved.
    """
    leaves, structure = jax.tree.flatten(parameters)
    keys = jax.random.split(key, len(leaves))
    moved = [x + scale * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, moved)

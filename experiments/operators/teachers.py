"""Where an operator is the teacher: a trained network, or a classical filter, makes the targets.

Receives a description from a config.
Hands a function of pixels to `data/synthetic/operator_targets.py`.
"""

import functools
import hashlib
import json

import jax
import numpy as np

from bilateral_jax import images, inference, models
from bilateral_jax.checkpoints import networks
from bilateral_jax.data import registry
from bilateral_jax.data.synthetic import operator_targets
from bilateral_jax.filters import operators


def pairs(*, photos, cache=None, **teacher):
    """Makes a source of pairs: photos, and what a teacher makes of them.

    Args:
      photos: section of a source of photos, as `data.registry.make` takes it.
      cache: folder that keeps the targets; None keeps them in memory.
      **teacher: of `find`.

    Returns:
      A `retouched.Retouched`.

    Raises:
      ValueError: as `find`, and as the source of photos.
      TypeError: as `find`.
    """
    function, label = find(**teacher)
    return operator_targets.Retouched(registry.make(**photos), function, label=label, cache=cache)


def find(*, checkpoint=None, operator=None, conditions=(), options=None):
    """Finds a teacher.

    Args:
      checkpoint: work directory or exported model of a network that enhances; or None.
      operator: name of a classical filter, a key of `operators.OPERATORS`; or None.
      conditions: of a network that takes some, see `inference.enhance`.
      options: of the classical filter.

    Returns:
      `(pixels -> pixels, label)`: a function of uint8 or uint16 `[h, w, 3]`, and a text that
      identifies it.

    Raises:
      ValueError: not exactly one of `checkpoint` and `operator`, or an unknown operator.
      TypeError: an option that the operator does not know.
      FileNotFoundError: there is no such checkpoint.
    """
    if (checkpoint is None) == (operator is None):
        raise ValueError(
            f"a teacher is a checkpoint or an operator, got {checkpoint!r} and {operator!r}"
        )
    if operator is not None:
        operators.make(operator, **options or {})
        return _Filter(operator, options or {}), json.dumps([operator, options or {}])
    if options:
        raise ValueError(f"options are for a classical filter, got {options!r} with a checkpoint")
    network, conditions = networks.load_model(checkpoint), tuple(map(float, conditions))
    return _Network(network, conditions), json.dumps([_digest(network), conditions])


class _Network:
    """A network that enhances whole photos."""

    def __init__(self, network, conditions):
        self._network, self._conditions = network, conditions

    def __call__(self, pixels):
        return inference.enhance(self._network, pixels, conditions=self._conditions)


class _Filter:
    """A classical filter, compiled for every size that comes."""

    def __init__(self, name, options):
        self._name, self._options = name, options

    def __call__(self, pixels):
        bits = 8 * pixels.dtype.itemsize
        image = _compiled(self._name, json.dumps(self._options))(images.to_float(pixels))
        return images.to_integer(np.asarray(image), bits)


@functools.lru_cache(maxsize=8)
def _compiled(name, options):
    return jax.jit(operators.make(name, **json.loads(options)))


def _digest(network):
    """Identifies a network by what it is and by every bit of its weights."""
    total = hashlib.sha256(repr(models.describe(network.module)).encode())
    for leaf in jax.tree.leaves((network.params, network.batch_stats)):
        total.update(np.ascontiguousarray(leaf))
    return total.hexdigest()

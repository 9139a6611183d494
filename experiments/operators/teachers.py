"""Operators as teachers: targets made by a trained network or by a classical filter."""

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


def pairs(*, photos, cache=None, keep_equal=False, keep_grey=False, strength=1.0, **teacher):
    """Makes a source of pairs: photos, and the teacher's output for each.

    Args:
      photos: section of a source of photos, as `data.registry.make` takes it.
      cache: folder that keeps the targets; None keeps them in memory.
      keep_equal: leave pairs whose input and target are equal as they are.
      keep_grey: the target of a photo without colours has none either.
      strength: weight of the teacher's output in the target, in [0, 1]; the photo has the rest.
      **teacher: as for `find`.

    Returns:
      An `operator_targets.OperatorTargets`.

    Raises:
      ValueError: as `find` and `operator_targets.OperatorTargets`, or as the source of photos.
      TypeError: as `find`.
    """
    function, label = find(**teacher)
    return operator_targets.OperatorTargets(
        registry.make(**photos), function,
        label=label, cache=cache, keep_equal=keep_equal, keep_grey=keep_grey, strength=strength,
    )  # fmt: skip


def find(*, checkpoint=None, operator=None, conditions=(), options=None):
    """Loads a teacher.

    Args:
      checkpoint: work directory of a run, or exported model, of a network that enhances; a list of
        such for the mean of their outputs; or None.
      operator: name of a classical filter, a key of `operators.OPERATORS`; or None.
      conditions: conditions of each network, as for `inference.enhance`.
      options: options of the classical filter.

    Returns:
      `(function, label)`: pixels -> pixels, uint8 or uint16 `[h, w, 3]`; and a text that identifies
      the function, for caches.

    Raises:
      ValueError: not exactly one of `checkpoint` and `operator`, or an unknown operator.
      TypeError: an option that the operator does not know.
      FileNotFoundError: there is no such checkpoint.
    """
    checkpoint = checkpoint or None
    if (checkpoint is None) == (operator is None):
        raise ValueError(
            f"a teacher is a checkpoint or an operator, got {checkpoint!r} and {operator!r}"
        )
    if operator is not None:
        operators.make(operator, **options or {})
        return _Filter(operator, options or {}), json.dumps([operator, options or {}])
    if options:
        raise ValueError(f"options are for a classical filter, got {options!r} with a checkpoint")
    conditions = tuple(map(float, conditions))
    if isinstance(checkpoint, list | tuple):
        several = [networks.load_model(path) for path in checkpoint]
        label = json.dumps([[_checksum(network) for network in several], conditions])
        return _Mean(several, conditions), label
    network = networks.load_model(checkpoint)
    return _Network(network, conditions), json.dumps([_checksum(network), conditions])


class _Network:
    """A network that enhances whole photos."""

    def __init__(self, network, conditions):
        self._network, self._conditions = network, conditions

    def __call__(self, pixels):
        return inference.enhance(self._network, pixels, conditions=self._conditions)


class _Mean:
    """The mean of the clipped outputs of several networks, rounded once."""

    def __init__(self, several, conditions):
        self._networks, self._conditions = several, conditions

    def __call__(self, pixels):
        image, total = images.to_float(pixels), 0.0
        for network in self._networks:
            output = inference.enhance(network, image, conditions=self._conditions)
            total = total + np.clip(output, 0.0, 1.0)
        return images.to_integer(total / len(self._networks), images.bit_depth(pixels))


class _Filter:
    """A classical filter, compiled once per image size."""

    def __init__(self, name, options):
        self._name, self._options = name, options

    def __call__(self, pixels):
        image = _compiled(self._name, json.dumps(self._options))(images.to_float(pixels))
        return images.to_integer(image, images.bit_depth(pixels))


@functools.lru_cache(maxsize=8)
def _compiled(name, options):
    return jax.jit(operators.make(name, **json.loads(options)))


def _checksum(network):
    """SHA-256 of a network's description and weights."""
    total = hashlib.sha256(repr(models.describe(network.module)).encode())
    for leaf in jax.tree.leaves((network.params, network.batch_stats)):
        total.update(np.ascontiguousarray(leaf))
    return total.hexdigest()

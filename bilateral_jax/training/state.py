"""What training carries from step to step, as one pytree.

Receives freshly initialised weights from experiments, or a restored tree from checkpoints/.
Hands the state to training/step.py and, by its leaves' names, to checkpoints/.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """One network in training.

    Attributes:
      step: int32 scalar, the number of updates done.
      key: typed random key; steps derive theirs from it by `fold_in`, it never changes.
      params: pytree of weights.
      batch_stats: pytree of running statistics, empty for a network without any.
      average: exponential moving average of `params`, the weights that are evaluated and shipped;
        None for a network that is only trained against.
      opt_state: the optimiser's own.
    """

    step: jax.Array
    key: jax.Array
    params: Any
    batch_stats: Any
    average: Any
    opt_state: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Adversaries:
    """A network in training and the critic it is trained against.

    Attributes:
      step: int32 scalar, the number of updates done; those of the two networks count what moved
        them, so a step that was skipped is missing there.
      generator: `State` of the network that is shipped.
      critic: `State` of the other.
    """

    step: jax.Array
    generator: State
    critic: State


def create(key, params, batch_stats, optimizer, *, averaged=True):
    """Starts a state at step 0, the average at the weights themselves.

    Args:
      key: typed random key for everything random that happens during training.
      params: pytree of float weights.
      batch_stats: pytree of running statistics.
      optimizer: an `optax.GradientTransformation`.
      averaged: keep a moving average of the weights.
    """
    # A copy: buffers of the state are reused, so no two leaves may share one.
    average = jax.tree.map(jnp.array, params) if averaged else None
    return State(jnp.int32(0), key, params, batch_stats, average, optimizer.init(params))

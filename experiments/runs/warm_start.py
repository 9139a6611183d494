"""Weights to start a training from: another run's, or imported ones.

Receives the folder of a checkpoint from experiments/train.py.
Hands a state with its weights back.
"""

import dataclasses

import jax
import jax.numpy as jnp

from bilateral_jax import models
from bilateral_jax.checkpoints import networks


def put(state, path, paper):
    """Puts weights into a fresh state; the optimiser starts anew.

    Args:
      state: what `paper.init` gave.
      path: as for `networks.load_model`.
      paper: the `Experiment`; its `description` says which network, its `shipped` where it is.

    Returns:
      The state, with the weights also as the start of their average.
    """
    network = networks.load_model(path, module=models.create(*paper.description))
    return _put(state, paper.shipped.split("/")[:-1], network)


def _put(state, holders, network):
    if holders:
        inner = _put(getattr(state, holders[0]), holders[1:], network)
        return dataclasses.replace(state, **{holders[0]: inner})
    average = jax.tree.map(jnp.array, network.params)  # no two leaves of a state share a buffer
    return dataclasses.replace(
        state, params=network.params, batch_stats=network.batch_stats, average=average
    )

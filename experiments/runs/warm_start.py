"""Weights to start a training from: another run's, or imported ones.

Receives the folder of a checkpoint from experiments/train.py.
Hands a state with its weights back.
"""

import dataclasses

import jax
import jax.numpy as jnp

from bilateral_jax import models
from bilateral_jax.checkpoints import networks
from bilateral_jax.models import model as model_lib


def weights(path, module=None):
    """Reads a network.

    Args:
      path: folder of a run, or of an exported or imported model.
      module: the network that is to have the weights; None for the one that was saved. Fields that
        change no shape may differ.

    Returns:
      A `Model`.

    Raises:
      FileNotFoundError: there is no checkpoint at `path`.
      ValueError: it holds no model, one of another kind, or one whose leaves do not fit; each leaf
        is named.
    """
    saved = networks.load(path)
    if module is None:
        module = models.create(saved.name, saved.hyperparameters)
    if saved.name != type(module).__name__:
        raise ValueError(
            f"{path} holds the weights of {saved.name}, expected those of {type(module).__name__}"
        )
    try:
        return model_lib.Model.from_leaves(module, saved.params, saved.batch_stats)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def put(state, path, paper):
    """Puts weights into a fresh state; the optimiser starts anew.

    Args:
      state: what `paper.init` gave.
      path: as for `weights`.
      paper: the `Experiment`; its `description` says which network, its `shipped` where it is.

    Returns:
      The state, with the weights also as the start of their average.
    """
    network = weights(path, models.create(*paper.description))
    return _put(state, paper.shipped.split("/")[:-1], network)


def _put(state, holders, network):
    if holders:
        inner = _put(getattr(state, holders[0]), holders[1:], network)
        return dataclasses.replace(state, **{holders[0]: inner})
    average = jax.tree.map(jnp.array, network.params)  # no two leaves of a state share a buffer
    return dataclasses.replace(
        state, params=network.params, batch_stats=network.batch_stats, average=average
    )

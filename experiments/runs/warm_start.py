"""Warm starts: weights of another run, or imported ones, to start a training from."""

import dataclasses

from bilateral_jax import models
from bilateral_jax.checkpoints import networks
from bilateral_jax.models import model as model_lib
from bilateral_jax.training import state as state_lib


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


def put(state, start, paper):
    """Puts saved weights into a new state; the optimisers start anew.

    Args:
      state: what `paper.init` returned.
      start: folder of a run, or of an exported or imported model, for the network that is shipped;
        or `{name: folder}` for several networks of the state.
      paper: the `Experiment`.

    Returns:
      The state, with the weights also as the start of their average.

    Raises:
      FileNotFoundError: there is no checkpoint in a folder.
      ValueError: the state has no network of such a name, or as `weights`.
    """
    folders = start if isinstance(start, dict) else {paper.shipped_network: start}
    unknown = sorted(set(folders) - set(paper.networks))
    if unknown:
        raise ValueError(
            f"start names {', '.join(unknown)}; the networks are {', '.join(sorted(paper.networks))}"
        )
    for group_name, group in state.groups.items():
        networks = dict(group.networks)
        for name in networks.keys() & folders.keys():
            model = weights(folders[name], paper.networks[name])
            averaged = networks[name].average is not None
            networks[name] = state_lib.create_network(
                model.params, model.batch_stats, averaged=averaged
            )
        state = state.replace_group(group_name, dataclasses.replace(group, networks=networks))
    return state

"""Networks on disk, with what rebuilds them: name, hyper-parameters, weights, statistics.

A network is a checkpoint whose metadata hold an `entry`: in a run the entry says which part of the
training's state is the network; an exported model is one step that holds nothing else.

Receives networks from cli/enhance.py and, by way of runs, from experiments.
Hands `SavedModel`s to cli/enhance.py and experiments.
"""

import dataclasses
import pathlib
from typing import Any

from bilateral_jax.checkpoints import trees


@dataclasses.dataclass(frozen=True)
class SavedModel:
    """What rebuilds a network: its registered name, its hyper-parameters, its leaves (NumPy)."""

    name: str
    hyperparameters: dict[str, Any]
    params: Any
    batch_stats: Any
    metadata: dict[str, Any]


def save(path, *, name, hyperparameters, params, batch_stats=None, metadata=None):
    """Writes a model for `load` and `python -m bilateral_jax enhance`.

    Args:
      path: folder to create.
      name: registered name of the network, as `models.create` takes it.
      hyperparameters: JSON-able dict, as `models.create` takes it.
      params: pytree of weights.
      batch_stats: pytree of running statistics; None for a network without any.
      metadata: JSON-able dict, for example where the weights come from.

    Raises:
      ValueError: the folder already holds a model.
    """
    if trees.steps(path):
        raise ValueError(f"{path} already holds a model; choose another folder or remove it first")
    state = {"params": params, "batch_stats": batch_stats or {}}
    metadata = {**(metadata or {}), "model": entry(name, hyperparameters)}
    trees.save(path, 0, state, metadata=metadata)


def entry(name, hyperparameters, *, params="params", batch_stats="batch_stats"):
    """Describes a model inside a state; `load` looks for it in `metadata["model"]`.

    Args:
      name: registered name of the network.
      hyperparameters: JSON-able dict.
      params: path of the weights to use in the state, for example "average" or, in a state that
        holds several networks, "generator/average".
      batch_stats: path of the running statistics.
    """
    return {
        "name": name,
        "hyperparameters": dict(hyperparameters),
        "params": params,
        "batch_stats": batch_stats,
    }


def load(path, step=None):
    """Reads the model from a run's work directory or from a folder written by `save`.

    Args:
      path: work directory of a run (with a `checkpoints` folder in it), that folder, or an
        exported model.
      step: which step of a run; None for the newest good one.

    Returns:
      A `SavedModel`; its `metadata` carries the step under "step".

    Raises:
      FileNotFoundError: there is no checkpoint at `path`.
      checkpoints.DamagedCheckpointError: no good step is left.
      ValueError: the checkpoint holds no model.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        raise FileNotFoundError(
            f"{path} is not a folder; expected a run's work directory or an exported model"
        )
    run_folder = trees.run_folder(path)
    folder = run_folder if run_folder.is_dir() else path
    step, state, metadata = trees.restore(folder, step)
    if "model" not in metadata:
        raise ValueError(
            f"step {step} in {folder} holds no description of a model, only {sorted(state)}"
        )
    model = metadata["model"]
    params = _at(state, model["params"])
    if params is None:
        raise ValueError(
            f"step {step} in {folder} holds {sorted(state)}, not the weights {model['params']!r}"
        )
    return SavedModel(
        name=model["name"],
        hyperparameters=model["hyperparameters"],
        params=params,
        batch_stats=_at(state, model["batch_stats"]) or {},
        metadata={**metadata, "step": step},
    )


def _at(state, path):
    """Gives the entry of nested dictionaries at a path of names; None if there is none."""
    for name in path.split("/"):
        state = state.get(name) if isinstance(state, dict) else None
    return state

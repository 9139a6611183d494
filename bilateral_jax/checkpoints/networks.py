"""Networks on disk: name, hyper-parameters, weights and statistics.

A network is a checkpoint whose metadata hold an `entry`: in a run the entry says which part of the
training's state is the network that is shipped, and `networks` has an entry for each of the others;
an exported model is one step that holds nothing else.
"""

import dataclasses
import pathlib
from typing import Any

import jax
import numpy as np

from bilateral_jax import atomic, models, tree_paths
from bilateral_jax.checkpoints import trees
from bilateral_jax.models import model as model_lib

_LARGEST = 65_536  # hyper-parameter that is accepted for a network of few weights


@dataclasses.dataclass(frozen=True)
class SavedModel:
    """The record of a saved network.

    Attributes:
      path: folder it was loaded from.
      name: registered name of the network.
      hyperparameters: what `models.create` takes beside the name.
      params: pytree of weights, NumPy.
      batch_stats: pytree of running statistics, NumPy.
      metadata: of the checkpoint; "step" is the step loaded.
    """

    path: pathlib.Path
    name: str
    hyperparameters: dict[str, Any]
    params: Any
    batch_stats: Any
    metadata: dict[str, Any]

    def to_model(self, *, module=None) -> model_lib.Model:
        """Builds the network.

        Args:
          module: the linen module that gets the weights; None for the one saved.

        Returns:
          A `Model`.

        Raises:
          trees.DamagedCheckpointError: hyper-parameters that cannot be those of these weights.
          ValueError: the weights are those of another network or do not fit; each leaf is named.
        """
        if module is None:
            module = self._module()
        expected = type(module).__name__
        if self.name != expected:
            raise ValueError(
                f"{self.path} holds the weights of {self.name}, expected those of {expected}"
            )
        try:
            return model_lib.Model.from_leaves(module, self.params, self.batch_stats)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None

    def _module(self):
        """Builds the linen module from untrusted fields."""
        weights = sum(np.size(leaf) for leaf in jax.tree.leaves(self.params))
        for name, value in self.hyperparameters.items():
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, int | float) and not abs(number) <= max(_LARGEST, weights):
                    raise trees.DamagedCheckpointError(
                        f"{self.path}: {name} {value!r} cannot be that of {weights:,} weights"
                    )
        try:
            module = models.create(self.name, self.hyperparameters)
            model_lib.variable_shapes(module)
        except (ValueError, ImportError, MemoryError):
            raise
        except Exception as error:  # fields of another type than the network expects
            reason = " ".join(str(error).split())[:200]
            raise trees.DamagedCheckpointError(
                f"{self.path}: a {self.name} cannot be built of {self.hyperparameters}: {reason}"
            ) from error
        return module


def load_model(path, step=None, *, network=None, module=None) -> model_lib.Model:
    """Loads a network, ready to call, from a run or an exported model.

    Args:
      path: work directory of a run (with a `checkpoints` folder in it), that folder, or an
        exported or imported model.
      step: step of a run; None for the newest valid one.
      network: name of a network of a run that trains several, for example a critic; None for the
        one that is shipped.
      module: the linen module that gets the weights; None for the one saved. Fields that change no
        shape may differ.

    Returns:
      A `Model`.

    Raises:
      FileNotFoundError: there is no checkpoint at `path`.
      trees.DamagedCheckpointError: no valid step is left.
      ValueError: the checkpoint holds no model, one of another network, or weights that do not fit;
        each leaf is named.
    """
    return load(path, step, network=network).to_model(module=module)


def check_finite(model: model_lib.Model, path) -> None:
    """Checks that the weights of a network are finite, before it is applied.

    Args:
      model: as `load_model` returns it.
      path: where it was loaded from, for the message.

    Raises:
      ValueError: there is a NaN or infinite weight; the first array that holds one is named.
    """
    leaves = tree_paths.flatten({"params": model.params, "batch_stats": model.batch_stats})
    broken = [name for name, leaf in leaves.items() if not np.isfinite(np.asarray(leaf)).all()]
    if broken:
        raise ValueError(
            f"{path} holds NaN or infinite weights in {len(broken)} of {len(leaves)} arrays "
            f"({'/'.join(broken[0])}, ...): its training diverged, or the file is damaged"
        )


def save(path, *, name, hyperparameters, params, batch_stats=None, metadata=None) -> None:
    """Saves a model for `load_model` and the command `enhance`.

    Args:
      path: folder, created if absent.
      name: registered name of the network, as `models.create` takes it.
      hyperparameters: JSON-able dict, as `models.create` takes it.
      params: pytree of weights.
      batch_stats: pytree of running statistics; None for a network without any.
      metadata: JSON-able dict, for example where the weights come from.

    Raises:
      ValueError: the folder already holds a model.
    """
    check_free(path)
    state = {"params": params, "batch_stats": batch_stats or {}}
    metadata = {**(metadata or {}), "model": entry(name, hyperparameters)}
    trees.save(path, 0, state, metadata=metadata)


def check_free(path) -> None:
    """Checks that `save` can write a model to a folder, before the work on the model.

    Args:
      path: the folder, which need not exist.

    Raises:
      ValueError: the folder already holds a model.
      OSError: it cannot be created or written.
    """
    if trees.steps(path):
        raise ValueError(f"{path} already holds a model; choose another folder or remove it first")
    atomic.check_folder(path)


def entry(name, hyperparameters, *, params="params", batch_stats="batch_stats") -> dict[str, Any]:
    """Describes a network inside a state; `load` expects it in `metadata["model"]`.

    Args:
      name: registered name of the network.
      hyperparameters: JSON-able dict.
      params: path of the weights in the state, for example
        "groups/generators/networks/G/average".
      batch_stats: path of the running statistics in the state.
    """
    return {
        "name": name,
        "hyperparameters": dict(hyperparameters),
        "params": params,
        "batch_stats": batch_stats,
    }


def load(path, step=None, *, network=None) -> SavedModel:
    """Loads the record of a network: names, arrays and metadata, without building it.

    Args:
      path: as for `load_model`.
      step: as for `load_model`.
      network: as for `load_model`.

    Returns:
      A `SavedModel`.

    Raises:
      FileNotFoundError: there is no checkpoint at `path`.
      trees.DamagedCheckpointError: no valid step is left.
      ValueError: the checkpoint holds no model, or none of that name.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        raise FileNotFoundError(
            f"{path} is not a folder; expected a run's work directory or an exported model"
        )
    run_folder = trees.run_folder(path)
    folder = run_folder if run_folder.is_dir() else path
    step, state, metadata = trees.restore(folder, step)
    where = f"step {step} in {folder}"
    if "model" not in metadata:
        raise ValueError(f"{where} holds no description of a model, only {sorted(state)}")
    model = metadata["model"]
    if network is not None:
        known = metadata.get("networks", {})
        if not isinstance(known, dict) or network not in known:
            raise ValueError(f"{where} holds no network {network!r}; there are {sorted(known)}")
        model = known[network]
    _check_entry(model, where)
    params = _at(state, model["params"])
    if params is None:
        raise ValueError(f"{where} holds {sorted(state)}, not the weights {model['params']!r}")
    return SavedModel(
        path=path,
        name=model["name"],
        hyperparameters=model["hyperparameters"],
        params=params,
        batch_stats=_at(state, model["batch_stats"]) or {},
        metadata={**metadata, "step": step},
    )


def _check_entry(model, where):
    """Refuses a description that `entry` cannot have made."""
    fields = {"name": str, "hyperparameters": dict, "params": str, "batch_stats": str}
    for name, kind in fields.items():
        if not isinstance(model, dict) or not isinstance(model.get(name), kind):
            raise trees.DamagedCheckpointError(
                f"{where} is damaged: its description of a model has no {name}"
            )


def _at(state, path):
    """Gives the entry of nested dicts at a path; None if there is none."""
    for name in path.split("/"):
        state = state.get(name) if isinstance(state, dict) else None
    return state

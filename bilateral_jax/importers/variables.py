"""Conversion between variables under foreign names and the leaves of a network.

An importer maps the path of each of our leaves to the original's name and the number of axes of
length 1 that the original has in front and behind. The table, the checks and both directions of the
conversion follow from that.
"""

import pathlib
import re
from collections.abc import Callable, Mapping

import jax
import numpy as np

from bilateral_jax import models, tree_paths
from bilateral_jax.importers.formats import npz, tensor_bundle
from bilateral_jax.models import model as model_lib

TORCH = (".pth", ".pt", ".bin")
_OPTIMISER = ("Adam", "Adam_1", "beta1_power", "beta2_power", "global_step")


def read(source) -> dict[str, np.ndarray]:
    """Reads variables; a name loses its ":0", slots of the optimiser are left out.

    Args:
      source: mapping of names to arrays, an `.npz` file of these, or a TensorFlow checkpoint
        (prefix, `.index` file or folder).

    Returns:
      Name to array; those of an `.npz` file are read when they are asked for.

    Raises:
      FileNotFoundError: no such file.
      ValueError: the file cannot be read.
    """
    if not isinstance(source, Mapping):
        source = _read_file(pathlib.Path(source))
    named = {name.removesuffix(":0"): array for name, array in source.items()}
    return {k: array for k, array in named.items() if k.rsplit("/", 1)[-1] not in _OPTIMISER}


def first_names(variables) -> str:
    """Returns the first names of variables, or "none", for the message that they do not fit."""
    return ", ".join(sorted(variables)[:5]) or "none"


def from_foreign(
    module, variables: Mapping[str, np.ndarray], original: Callable
) -> model_lib.Model:
    """Builds a model from variables under their original names.

    Args:
      module: the network.
      variables: the original's name to array.
      original: `path of a leaf -> (original name, axes of length 1 in front, behind)`; the path is
        a tuple of names that starts with "params" or "batch_stats".

    Returns:
      The model.

    Raises:
      ValueError: variables missing, left over or of the wrong shape; each is named.
    """
    leaves = tree_paths.flatten(model_lib.variable_shapes(module))
    checked = check(module, variables, original)
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite
        filled = {
            path: np.asarray(checked[original(path)[0]], np.float32).reshape(leaf.shape)
            for path, leaf in leaves.items()
        }
    tree = tree_paths.nest(filled)
    return model_lib.Model(tree["params"], tree.get("batch_stats", {}), module)


def check(module, variables: Mapping[str, np.ndarray], original: Callable) -> dict:
    """Compares names and shapes with a network; nothing is read or allocated.

    Args:
      module: the network.
      variables: the original's name to array, or to `jax.ShapeDtypeStruct`.
      original: as for `from_foreign`.

    Returns:
      The variables.

    Raises:
      ValueError: variables missing, left over or of the wrong shape; each is named.
    """
    target = {
        name: jax.ShapeDtypeStruct(shape, np.float32)
        for name, (_, shape) in table(module, original).items()
    }
    return tree_paths.fill(
        target,
        {(name,): array for name, array in variables.items()},
        misfit=f"the variables do not fit {models.describe(module)[0]}",
        check_dtypes=False,
    )


def to_foreign(model: model_lib.Model, original: Callable) -> dict[str, np.ndarray]:
    """Returns a model's weights under their original names and shapes: inverts `from_foreign`.

    Args:
      model: the network with its weights.
      original: as for `from_foreign`.

    Returns:
      Name to float32 array.
    """
    foreign = {}
    leaves = {"params": model.params, "batch_stats": model.batch_stats}
    for path, leaf in tree_paths.flatten(leaves).items():
        name, before, behind = original(path)
        foreign[name] = np.asarray(leaf).reshape((1,) * before + leaf.shape + (1,) * behind)
    return foreign


def table(module, original: Callable) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Lists the variables that a network is built from.

    Args:
      module: the network.
      original: as for `from_foreign`.

    Returns:
      Original name to (our path, the original's shape).
    """
    rows = {}
    for path, leaf in tree_paths.flatten(model_lib.variable_shapes(module)).items():
        name, before, behind = original(path)
        rows[name] = ("/".join(path), (1,) * before + leaf.shape + (1,) * behind)
    return rows


def _read_file(path):
    if path.suffix == ".npz":
        return npz.read(path)
    if data := re.fullmatch(r"(.+)\.data-\d{5}-of-\d{5}", path.name):
        path = path.with_name(data[1])  # the prefix that the files of a checkpoint share
    if path.suffix != ".index" and path.exists() and not path.is_dir():
        if not path.with_name(path.name + ".index").exists():
            raise ValueError(
                f"{path} is {_kind(path)}; expected an .npz file or a TensorFlow checkpoint"
            )
    return tensor_bundle.read(path)


def _kind(path):
    if path.suffix in TORCH:
        return "a PyTorch file, and this network was published in TensorFlow"
    return "a file of another kind"

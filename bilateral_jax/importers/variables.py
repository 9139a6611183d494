"""Foreign variables by name into the leaves of a network: what every importer shares.

An importer says one thing of each of our leaves: the original's name, and how many axes of length 1
the original has in front and behind. From that follow the table, the checks and both directions.

Receives files through `importers/formats/tensor_bundle.py` or NumPy, names from the importers.
Hands a `Model` to the importers.
"""

import pathlib
import zipfile
from collections.abc import Callable, Mapping

import jax
import numpy as np

from bilateral_jax import models
from bilateral_jax.importers.formats import tensor_bundle
from bilateral_jax.models import model as model_lib

_OPTIMISER = ("Adam", "Adam_1", "beta1_power", "beta2_power", "global_step")


def read(source) -> dict[str, np.ndarray]:
    """Reads variables; a name loses its ":0", slots of the optimiser are left out.

    Args:
      source: mapping of names to arrays, an `.npz` file of these, or a TensorFlow checkpoint
        (prefix, `.index` file or folder).

    Returns:
      Name to array.

    Raises:
      FileNotFoundError: no such file.
      ValueError: the file cannot be read.
    """
    if not isinstance(source, Mapping):
        source = _read_file(pathlib.Path(source))
    named = {name.removesuffix(":0"): array for name, array in source.items()}
    return {k: array for k, array in named.items() if k.rsplit("/", 1)[-1] not in _OPTIMISER}


def fill(module, variables: Mapping[str, np.ndarray], original: Callable) -> model_lib.Model:
    """Fills a network.

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
    rows = table(module, original)
    problems = [
        f"missing: {name} {shape}" for name, (_, shape) in rows.items() if name not in variables
    ]
    problems += [
        f"unexpected: {name} {np.shape(variables[name])}" for name in variables if name not in rows
    ]
    for name, (_, shape) in rows.items():
        if name in variables and np.shape(variables[name]) != shape:
            problems.append(f"wrong shape: {name} is {np.shape(variables[name])}, expected {shape}")
    if problems:
        kind = models.describe(module)[0]
        raise ValueError(f"the variables do not fit {kind}: " + "; ".join(problems))

    def leaf(path, like):
        name = original(_names(path))[0]
        return np.asarray(variables[name], np.float32).reshape(like.shape)

    filled = jax.tree_util.tree_map_with_path(leaf, _leaves(module))
    return model_lib.Model(filled["params"], filled.get("batch_stats", {}), module)


def empty(model: model_lib.Model, original: Callable) -> dict[str, np.ndarray]:
    """Gives a model's weights under the original's names and shapes: the inverse of `fill`.

    Args:
      model: the network with its weights.
      original: as for `fill`.

    Returns:
      Name to float32 array.
    """
    leaves = {"params": model.params, "batch_stats": model.batch_stats}
    named = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(leaves):
        name, before, behind = original(_names(path))
        named[name] = np.asarray(leaf).reshape((1,) * before + leaf.shape + (1,) * behind)
    return named


def table(module, original: Callable) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Lists what a network needs from the original.

    Args:
      module: the network.
      original: as for `fill`.

    Returns:
      Original name to (our path, the original's shape).
    """
    rows = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(_leaves(module)):
        name, before, behind = original(_names(path))
        rows[name] = ("/".join(_names(path)), (1,) * before + leaf.shape + (1,) * behind)
    return rows


def _names(path):
    return tuple(key.key for key in path)


def _leaves(module):
    inputs = jax.eval_shape(module.example_inputs)
    return jax.eval_shape(module.init, jax.random.key(0), *inputs)


def _read_file(path):
    if path.suffix != ".npz":
        return tensor_bundle.read(path)
    try:
        # Opened here, since np.load leaves a broken archive's file open.
        with open(path, "rb") as file, np.load(file) as archive:
            return dict(archive)
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{path} is not a readable .npz file: {error}") from error

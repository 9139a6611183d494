"""Weights that Keras saved: HDF5 files, and the variables of a SavedModel.

An HDF5 file has a group per layer (under `model_weights`, if the whole model was saved) and in it
data sets whose names begin with the layer once more: `conv1/kernel:0` in the group `conv1`. A
SavedModel has a tensor bundle, `variables/variables.index` and its data. Both give `LAYER/LEAF`.
"""

import pathlib
from collections.abc import Mapping

import numpy as np

from bilateral_jax.importers import variables as variables_lib

_SUFFIXES = (".hdf5", ".h5")
# What Keras keeps beside weights: start-up correction of moving averages, optimisers.
_NO_WEIGHTS = ("biased", "local_step")
_NO_LAYERS = ("training", "training_1", "Adam", "SGD", "optimizer_weights")


def read(source) -> dict[str, np.ndarray]:
    """Reads weights; a name loses its ":0", what belongs to training alone is left out.

    Args:
      source: mapping of names to arrays; HDF5 file (by suffix); SavedModel folder; or as
        `variables.read`.

    Returns:
      Name to array.

    Raises:
      FileNotFoundError: no such file.
      ImportError: an HDF5 file, and h5py is not installed.
      ValueError: the file cannot be read, or holds no weights.
    """
    if not isinstance(source, Mapping):
        path = pathlib.Path(source)
        if path.suffix.lower() in _SUFFIXES:
            source = _read_hdf5(path)
        elif (path / "variables").is_dir():
            source = path / "variables"
    found = variables_lib.read(source)
    return {
        name: array
        for name, array in found.items()
        if name.rsplit("/", 1)[-1] not in _NO_WEIGHTS and name.split("/", 1)[0] not in _NO_LAYERS
    }


def _read_hdf5(path):
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            'reading HDF5 files needs h5py: pip install "bilateral_jax[keras]"'
        ) from error
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        with h5py.File(path, "r") as file:
            found = {}
            for layer in file.get("model_weights", file).values():
                if isinstance(layer, h5py.Group):
                    found |= _datasets(h5py, layer)
    except (OSError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path} is not a readable HDF5 file: {error}") from error
    if not found:
        raise ValueError(f"{path} holds no weights")
    return found


def _datasets(h5py, layer):
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = np.asarray(item)

    layer.visititems(visit)
    return found

"""Weights that Keras saved: HDF5 files, and the variables of a SavedModel.

An HDF5 file has a group per layer (under `model_weights`, if the whole model was saved) and in it
data sets whose names begin with the layer once more: `conv1/kernel:0` in the group `conv1`. A
SavedModel has a tensor bundle, `variables/variables.index` and its data. Both give `LAYER/LEAF`.
"""

import pathlib
from collections.abc import Mapping

import numpy as np

from bilateral_jax.importers import variables as variables_lib
from bilateral_jax.importers.formats import failures, stored

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
      Name to array; those of an HDF5 file are read when they are asked for.

    Raises:
      FileNotFoundError: no such file.
      ImportError: an HDF5 file, and h5py is not installed.
      ValueError: the file cannot be read, holds no weights, or refers to other files.
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
    with failures.named(path, "an HDF5 file"):
        with h5py.File(path, "r") as file:
            root = _member(h5py, file, "model_weights") if "model_weights" in file else file
            if not isinstance(root, h5py.Group):
                raise ValueError("model_weights is no group of layers")
            found = {}
            for layer in (_member(h5py, root, name) for name in root):
                if isinstance(layer, h5py.Group):
                    found |= _datasets(h5py, path, layer)
        if not found:
            raise ValueError("it holds no weights")
    return found


def _member(h5py, group, name):
    """One member of a group, in this file: others could be read through links, too."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is a link to elsewhere, which is not followed")
    return group[name]


def _datasets(h5py, path, layer):
    """The data sets of a layer, at any depth."""
    found, groups, visited = {}, [("", layer)], set()
    while groups:
        prefix, group = groups.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in visited:
            continue
        visited.add(address)
        for name in group:
            item = _member(h5py, group, name)
            if isinstance(item, h5py.Group):
                groups.append((f"{prefix}{name}/", item))
            elif isinstance(item, h5py.Dataset) and item.dtype.kind in "fiub":
                found[prefix + name] = _stored(h5py, path, item)
    return found


def _stored(h5py, path, item):
    if item.external or item.is_virtual:
        raise ValueError(f"{item.name} takes its numbers from another file, which is not read")
    size = min(item.id.get_storage_size(), path.stat().st_size)

    def load():
        with failures.named(path, "an HDF5 file"), h5py.File(path, "r") as file:
            return file[item_name][()]

    item_name = item.name
    return stored.StoredArray(item_name, item.shape, item.dtype, size=size, load=load)

"""Weights in PyTorch's order of axes to ours and back.

convolution   OIHW        HWIO
dense         [out, in]   [in, out]
"""

import pathlib
from collections.abc import Mapping

import numpy as np

from bilateral_jax.importers import variables as variables_lib
from bilateral_jax.importers.formats import torch_file

_STATE = "state_dict."


def read(source) -> dict[str, np.ndarray]:
    """Reads the weights of a PyTorch network in our order of axes.

    Args:
      source: mapping of names to arrays, a PyTorch file (`.pth`, `.pt`, `.bin`), or an `.npz` file
        of the same names. Of a training's checkpoint only its `state_dict` is taken.

    Returns:
      Name to array.

    Raises:
      FileNotFoundError: no such file.
      ValueError: another kind of file, or one that cannot be read.
    """
    if not isinstance(source, Mapping):
        path = pathlib.Path(source)
        if not path.exists():
            raise FileNotFoundError(f"no such file: {path}")
        if path.suffix in variables_lib.TORCH:
            source = torch_file.read(path)
        elif path.suffix != ".npz":
            suffixes = ", ".join(variables_lib.TORCH)
            raise ValueError(f"{path} must be a PyTorch file ({suffixes}) or .npz of its tensors")
    variables = variables_lib.read(source)
    if any(name.startswith(_STATE) for name in variables):
        variables = {
            name.removeprefix(_STATE): array
            for name, array in variables.items()
            if name.startswith(_STATE)
        }
    return {name: to_ours(array) for name, array in variables.items()}


def to_ours(array) -> np.ndarray:
    """Converts kernels `[out, in, h, w]` to `[h, w, in, out]`, matrices to their transpose."""
    array = np.asarray(array)
    return np.transpose(array, (2, 3, 1, 0)) if array.ndim == 4 else array.T


def to_torch(array) -> np.ndarray:
    """Inverts `to_ours`."""
    array = np.asarray(array)
    return np.transpose(array, (3, 2, 0, 1)) if array.ndim == 4 else array.T

"""Weights of the published CAN checkpoints (TensorFlow variable names) to our network.

Layers are numbered from 1; CAN24 has no number 8, as its last 3 x 3 layer kept the 9 of CAN32:

    g_convK/weights                 params  conv_i/kernel
    g_convK/BatchNorm/beta          params  norm_i/shift
    g_convK/w0, g_convK/w1          params  norm_i/kept, norm_i/normalised
    g_conv_last/weights, biases     params  last/kernel, bias

The moving statistics in the files were never updated (the network always normalises by the image's
own) and are left out. The published networks take blue, green, red.
"""

import re

import numpy as np

from bilateral_jax import models
from bilateral_jax.importers import variables as variables_lib
from bilateral_jax.importers.formats import failures
from bilateral_jax.models import model as model_lib

_MOVING = ("moving_mean", "moving_variance")
_MOST_LAYERS = 24  # dilations grow to 2^22 pixels
_LEAVES = {"kernel": "weights", "shift": "BatchNorm/beta", "kept": "w0", "normalised": "w1"}


@failures.importer
def load(source) -> model_lib.Model:
    """Builds a network from the original's weights; its size follows from names and shapes.

    Args:
      source: mapping of names to arrays, `.npz` file, or TensorFlow checkpoint (prefix, `.index`
        file or folder).

    Returns:
      The model: dilations 1, 2, 4, ... and 1 for as many layers as there are; input channels
      beyond three are conditions.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not a CAN, or variables are missing, left over or of the wrong shape.
    """
    found = variables_lib.read(source)
    variables = {
        name: array
        for name, array in found.items()
        if name.startswith("g_conv") and not name.endswith(_MOVING)
    }
    numbers = [int(m[1]) for m in map(re.compile(r"g_conv(\d+)/weights$").match, variables) if m]
    first = variables.get("g_conv1/weights")
    if first is None or np.ndim(first) != 4 or first.shape[2] < 3 or len(numbers) < 2:
        shown = variables_lib.first_names(found)
        raise ValueError(
            "there are no kernels g_conv1/weights, g_conv2/weights, ..., so this is no CAN; "
            f"the first names: {shown}"
        )
    if len(numbers) > _MOST_LAYERS:
        raise ValueError(f"a CAN has at most {_MOST_LAYERS} layers, found {len(numbers)}")
    fields = {
        "width": first.shape[3],
        "dilations": [2**i for i in range(len(numbers) - 1)] + [1],
        "conditions": first.shape[2] - 3,
        "channel_order": "bgr",
    }
    return from_variables(variables, models.create("CAN", fields), numbers=sorted(numbers))


def from_variables(variables, module, *, numbers=None) -> model_lib.Model:
    """Fills a network with the original's variables.

    Args:
      variables: name to array, without moving statistics.
      module: a `CAN`.
      numbers: the original's number of every layer; None for the published ones.

    Returns:
      The model.

    Raises:
      ValueError: variables missing, left over or of the wrong shape; each is named.
    """
    return variables_lib.from_foreign(module, variables, _naming(module, numbers))


def to_variables(model: model_lib.Model) -> dict[str, np.ndarray]:
    """Returns a network's weights under the original's names: the inverse of `load`.

    Args:
      model: a `CAN` with its weights.

    Returns:
      Name to float32 array.
    """
    return variables_lib.to_foreign(model, _naming(model.module))


def table(module) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Maps the original name of each variable to (path in our tree, original shape).

    Args:
      module: a `CAN`.
    """
    return variables_lib.table(module, _naming(module))


def _naming(module, numbers=None):
    if numbers is None:
        count = len(module.dilations)
        numbers = [*range(1, count), max(count, 9)]

    def original(path):
        _, layer, leaf = path
        if layer == "last":
            return f"g_conv_last/{'weights' if leaf == 'kernel' else 'biases'}", 0, 0
        return f"g_conv{numbers[int(layer.split('_')[1])]}/{_LEAVES[leaf]}", 0, 0

    return original

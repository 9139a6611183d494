"""Weights of the published DPED generators (TensorFlow variable names) to our network.

The original numbers its layers and leaves the norms unnamed; kernels are HWIO on both sides:

    generator/W1, b1             params  head/kernel, bias
    generator/W2..W9, b2..b9     params  conv_0..conv_7/kernel, bias
    generator/Variable_{2k}      params  norm_k/shift              ("Variable" for k = 0)
    generator/Variable_{2k+1}    params  norm_k/scale
    generator/W10, W11, ..       params  tail_0, tail_1/kernel, bias
    generator/W12, b12           params  last/kernel, bias
"""

import numpy as np

from bilateral_jax import models
from bilateral_jax.importers import variables as variables_lib
from bilateral_jax.importers.formats import failures
from bilateral_jax.models import model as model_lib

_SCOPE = "generator/"


@failures.importer
def load(source) -> model_lib.Model:
    """Builds a generator from the original's weights.

    Args:
      source: mapping of names to arrays, `.npz` file, or TensorFlow checkpoint (prefix, `.index`
        file or folder). Variables outside the scope `generator/` are ignored.

    Returns:
      The model.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not a DPED generator, or variables are missing, left over or of the wrong shape.
    """
    variables = variables_lib.read(source)
    kept = {name: array for name, array in variables.items() if name.startswith(_SCOPE)}
    first = kept.get(f"{_SCOPE}W1")
    if first is None or np.ndim(first) != 4:
        shown = variables_lib.first_names(variables)
        raise ValueError(
            f"there is no kernel {_SCOPE}W1, so this is no DPED generator; the first names: {shown}"
        )
    layers = sum(f"{_SCOPE}W{i}" in kept for i in range(1, 100))
    fields = {"width": first.shape[-1], "blocks": max(layers - 4, 0) // 2}
    return from_variables(kept, models.create("DPED", fields))


def from_variables(variables, module) -> model_lib.Model:
    """Fills a generator with the original's variables.

    Args:
      variables: name (with the scope) to array.
      module: a `DPED`.

    Returns:
      The model.

    Raises:
      ValueError: variables missing, left over or of the wrong shape; each is named.
    """
    return variables_lib.from_foreign(module, variables, _naming(module))


def to_variables(model: model_lib.Model) -> dict[str, np.ndarray]:
    """Returns a generator's weights under the original's names: the inverse of `load`.

    Args:
      model: a `DPED` with its weights.

    Returns:
      Name to float32 array.
    """
    return variables_lib.to_foreign(model, _naming(model.module))


def table(module) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Maps the original name of each variable to (path in our tree, original shape).

    Args:
      module: a `DPED`.
    """
    return variables_lib.table(module, _naming(module))


def _naming(module):
    inner = 2 * module.blocks
    order = ["head", *(f"conv_{i}" for i in range(inner)), "tail_0", "tail_1", "last"]
    number = {layer: i + 1 for i, layer in enumerate(order)}

    def original(path):
        _, layer, leaf = path
        if layer.startswith("norm_"):
            i = 2 * int(layer.removeprefix("norm_")) + (leaf == "scale")
            return f"{_SCOPE}Variable_{i}" if i else f"{_SCOPE}Variable", 0, 0
        return f"{_SCOPE}{'W' if leaf == 'kernel' else 'b'}{number[layer]}", 0, 0

    return original

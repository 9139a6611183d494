"""Weights of the published image-adaptive 3D LUTs (PyTorch names) to our network.

    model.N.weight, bias of a convolution      params  classifier/conv_i, last/kernel, bias
    model.N.weight, bias of an instance norm   params  classifier/norm_i/scale, shift
    K.LUT  [rgb, blue, green, red]             params  basis [K, red, green, blue, rgb]

The layers are numbered through, with the resizing, leaky ReLUs and dropout between them. The
weights lie in two files, one of the tables and one of the classifier.
"""

import os
import re

import numpy as np

from bilateral_jax import models
from bilateral_jax.importers import torch_layout
from bilateral_jax.importers import variables as variables_lib
from bilateral_jax.importers.formats import failures
from bilateral_jax.models import model as model_lib
from bilateral_jax.models.layers import image_features

_LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "shift": "bias"}


@failures.importer
def load(source, *, classifier=None) -> model_lib.Model:
    """Builds a network from the original's weights; its sizes follow from names and shapes.

    Args:
      source: the tables (`LUTs.pth`), or a mapping or `.npz` of tables and classifier together.
      classifier: the classifier's file (`classifier.pth`), or a mapping; None if `source` holds
        all.

    Returns:
      The model. Dropout is that of the published training: .5 with four norms, else 0.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not such a network, or variables are missing, left over or of the wrong shape;
        each is named.
    """
    variables = torch_layout.read(source)
    if classifier is not None:
        variables |= torch_layout.read(classifier)
    tables = sorted((n for n in variables if re.fullmatch(r"\d+\.LUT", n)), key=_number)
    first = variables.get("model.1.weight")
    if not tables or np.ndim(first) != 4:
        missing = "are no tables 0.LUT, 1.LUT, ..." if not tables else "is no kernel model.1.weight"
        if tables and isinstance(classifier, str | os.PathLike):
            missing += f" in {classifier}"
        raise ValueError(
            f"there {missing}, so this is no image-adaptive 3D LUT; the first names: "
            f"{variables_lib.first_names(variables)}"
        )
    shapes = {np.shape(variables[name]) for name in tables}
    (shape,) = shapes if len(shapes) == 1 else ((),)
    if len(shape) != 4 or len(set(shape[:3])) != 1 or shape[3] != 3 or shape[0] < 2:
        raise ValueError(
            f"the tables must all be [3, n, n, n], got {sorted(s[::-1] for s in shapes)}"
        )
    layers = [name for name in variables if re.fullmatch(r"model\.\d+\.weight", name)]
    normalised = sum(np.ndim(variables[name]) == 1 for name in layers)
    behind = max(int(name.split(".")[1]) for name in layers) - _count(normalised)
    fields = {
        "tables": len(tables),
        "nodes": shape[0],
        "width": first.shape[3],
        "normalised": min(normalised, image_features.CONVOLUTIONS),
        "dropout": 0.5 if behind else 0.0,
    }
    module = models.create("ImageAdaptiveLUT", fields)
    basis = np.stack([_to_ours(variables.pop(name)) for name in tables])
    return variables_lib.from_foreign(module, variables | {"LUT": basis}, _naming(module))


def to_variables(model: model_lib.Model) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns a network's weights under the original's names and in its order of axes.

    Args:
      model: an `ImageAdaptiveLUT` with its weights.

    Returns:
      (Tables, classifier), each name to float32 array: the contents of the original's two files.
    """
    ours = variables_lib.to_foreign(model, _naming(model.module))
    tables = {f"{k}.LUT": table.transpose(3, 2, 1, 0) for k, table in enumerate(ours.pop("LUT"))}
    return tables, {name: torch_layout.to_torch(array) for name, array in ours.items()}


def _number(name):
    return int(name.split(".")[0])


def _to_ours(table):
    """From (green, red, blue, rgb), which is what the layout of kernels makes of a table."""
    return np.transpose(table, (1, 0, 2, 3))


def _count(normalised):
    """The number of the last layer, without dropout."""
    return 1 + 2 * image_features.CONVOLUTIONS + normalised


def _naming(module):
    """A leaky ReLU follows each convolution, and a norm the first ones: all count."""
    numbers, index = {}, 1
    for i in range(image_features.CONVOLUTIONS):
        numbers[f"conv_{i}"], numbers[f"norm_{i}"] = index, index + 2
        index += 2 + (i < module.normalised)
    numbers["last"] = index + (module.dropout > 0)

    def original(path):
        if path[1] == "basis":
            return "LUT", 0, 0
        return f"model.{numbers[path[2]]}.{_LEAVES[path[3]]}", 0, 0

    return original

"""Weights of the published NeurOp networks (PyTorch names) to our network.

    image_encoder.conv1, conv2.weight, bias          params  encoder/conv_0, conv_1/kernel, bias
    NAME_predictor.fc3.weight, bias                  params  predict_NAME/kernel, bias
    NAME_renderer.encoder, mid_conv, decoder         params  operator_NAME/encode, middle, decode

NAME is bc, ex or vb, in the order in which they are applied; the operators' 1 x 1 convolutions are
dense layers here.
"""

import numpy as np

from bilateral_jax import models
from bilateral_jax.importers import torch_layout
from bilateral_jax.importers import variables as variables_lib
from bilateral_jax.importers.formats import failures
from bilateral_jax.models import model as model_lib

_DENSE = {"encode": "encoder", "middle": "mid_conv", "decode": "decoder"}
_LEAF = {"kernel": "weight", "bias": "bias"}


@failures.importer
def load(source) -> model_lib.Model:
    """Builds a network from the original's weights.

    Args:
      source: mapping of names to arrays, PyTorch file, or `.npz` of the same names.

    Returns:
      The model; its widths follow from the shapes.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not a NeurOp, or variables are missing, left over or of the wrong shape; each is
        named.
    """
    variables = torch_layout.read(source)
    first = variables.get("image_encoder.conv1.weight")
    hidden = variables.get("bc_renderer.encoder.weight")
    if np.ndim(first) != 4 or np.ndim(hidden) != 4:
        raise ValueError(
            "there are no kernels image_encoder.conv1.weight and bc_renderer.encoder.weight, so "
            f"this is no NeurOp; the first names: {variables_lib.first_names(variables)}"
        )
    fields = {"width": hidden.shape[-1], "encoder_width": first.shape[-1]}
    return variables_lib.from_foreign(models.create("NeurOp", fields), variables, _original)


def to_variables(model: model_lib.Model) -> dict[str, np.ndarray]:
    """Returns a network's weights under the original's names and in its order of axes.

    Args:
      model: a `NeurOp` with its weights.

    Returns:
      Name to float32 array.
    """
    ours = variables_lib.to_foreign(model, _original)
    return {name: torch_layout.to_torch(array) for name, array in ours.items()}


def _original(path):
    _, layer, *inner, leaf = path
    leaf = _LEAF[leaf]
    if layer == "encoder":
        return f"image_encoder.conv{int(inner[0].removeprefix('conv_')) + 1}.{leaf}", 0, 0
    kind, name = layer.split("_")
    if kind == "predict":
        return f"{name}_predictor.fc3.{leaf}", 0, 0
    return f"{name}_renderer.{_DENSE[inner[0]]}.{leaf}", 2 * (leaf == "weight"), 0

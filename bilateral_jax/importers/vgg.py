"""Weights of published VGGs to our trunk: the convolutions; the layers behind them are left out.

    MatConvNet `.mat`       the k-th convolution of `layers`     params  trunk/convB_I/kernel, bias
    torchvision             features.N.weight, features.N.bias   params  trunk/convB_I/kernel, bias

MatConvNet's kernels have their first two axes swapped, torchvision's are OIHW; ours are HWIO. Each
keeps the scaling of pixels that it was trained with: 0 to 255 minus a mean, or standardised; and
the pools that it is used with: DPED's code keeps an odd last row, torchvision drops it.
"""

import pathlib
import re
from collections.abc import Mapping

import numpy as np

from bilateral_jax import models
from bilateral_jax.importers import variables as variables_lib
from bilateral_jax.importers.formats import failures, matlab, torch_file
from bilateral_jax.models import model as model_lib
from bilateral_jax.models import vgg

_TORCHVISION = {
    "scale": 1.0,
    "mean": (0.485, 0.456, 0.406),
    "deviation": (0.229, 0.224, 0.225),
    "padding": "VALID",
}


@failures.importer
def load(source) -> model_lib.Model:
    """Builds the convolutions of a VGG-16 or VGG-19.

    Args:
      source: MatConvNet's `.mat`; torchvision's `state_dict` as a `.pth` file, an `.npz` of it, or
        a mapping of names to arrays.

    Returns:
      The model, up to the last convolution.

    Raises:
      FileNotFoundError: no such file.
      ValueError: the file cannot be read or holds no VGG-16 or VGG-19, or variables are missing,
        left over or of the wrong shape (given as HWIO); each is named.
    """
    if not isinstance(source, Mapping) and pathlib.Path(source).suffix == ".mat":
        return _from_mat(pathlib.Path(source))
    if not isinstance(source, Mapping) and pathlib.Path(source).suffix in variables_lib.TORCH:
        source = torch_file.read(source)
    return _from_torchvision(variables_lib.read(source))


def to_torchvision(model: model_lib.Model) -> dict[str, np.ndarray]:
    """Returns a model's weights under torchvision's names and in its order of axes.

    Args:
      model: a `VGG` with its weights.

    Returns:
      Name to float32 array.
    """
    named = variables_lib.to_foreign(model, _torchvision_naming(model.module))
    return {name: _oihw(array) if array.ndim == 4 else array for name, array in named.items()}


def _from_torchvision(variables):
    kept = {name: array for name, array in variables.items() if name.startswith("features.")}
    kernels = {name for name in kept if re.fullmatch(r"features\.\d+\.weight", name)}
    found = [name for name in kernels if np.ndim(kept[name]) == 4]
    if kernels and len(found) < len(kernels):
        raise ValueError("this VGG has batch norms (a vgg16_bn or vgg19_bn); import one without")
    module = _module(found, kept, "features.0.weight", 0, variables, **_TORCHVISION)
    hwio = {k: np.transpose(x, (2, 3, 1, 0)) if np.ndim(x) == 4 else x for k, x in kept.items()}
    return variables_lib.from_foreign(module, hwio, _torchvision_naming(module))


def _from_mat(path):
    named = {}
    for number, (kernel, bias) in enumerate(matlab.read_convolutions(path), start=1):
        named[f"convolution {number} kernel"] = np.transpose(kernel, (1, 0, 2, 3))
        named[f"convolution {number} bias"] = np.reshape(bias, -1)
    kernels = [name for name in named if name.endswith("kernel")]
    module = _module(kernels, named, "convolution 1 kernel", 3, kernels)
    numbers = {layer: i for i, layer in enumerate(_layers(module), start=1)}

    def original(path):
        return f"convolution {numbers[path[-2]]} {path[-1]}", 0, 0

    return variables_lib.from_foreign(module, named, original)


def _module(kernels, variables, first, axis, shown, **fields):
    """Builds the network that has so many kernels; the first one's shape gives the width."""
    depths = {sum(depths): depths for depths in vgg.DEPTHS.values()}
    if len(kernels) not in depths or first not in variables:
        names = variables_lib.first_names(shown)
        raise ValueError(
            f"a VGG-16 has 13 kernels of 3 x 3 and a VGG-19 16, found {len(kernels)}, so this is "
            f"neither; the first names: {names}"
        )
    width = np.shape(variables[first])[axis]
    return models.create("VGG", {"depths": depths[len(kernels)], "width": width, **fields})


def _layers(module):
    """Our names of the convolutions, in order."""
    return [f"conv{name.removeprefix('relu')}" for name in module.layers if "relu" in name]


def _torchvision_naming(module):
    """A ReLU follows each convolution, and a pool each block: both count in torchvision."""
    numbers, index = {}, 0
    for name in module.layers:
        if name.startswith("relu"):
            numbers[f"conv{name.removeprefix('relu')}"] = index
        index += 1 if name.startswith("pool") else 2

    def original(path):
        leaf = "weight" if path[-1] == "kernel" else "bias"
        return f"features.{numbers[path[-2]]}.{leaf}", 0, 0

    return original


def _oihw(kernel):
    return np.transpose(kernel, (3, 2, 0, 1))

"""Weights of the published NIMA MobileNets (Keras names) to our network.

Kernels are HWIO on both sides; i = 1..13:

    conv1/kernel, conv_pw_i/kernel        params       the same
    conv_dw_i/depthwise_kernel            params       conv_dw_i/kernel (without its last axis of 1)
    NAME_bn/gamma, beta                   params       NAME_bn/scale, bias
    NAME_bn/moving_mean, moving_variance  batch_stats  NAME_bn/mean, var
    dense_1/kernel, bias                  params       head/kernel, bias

A MobileNet for ImageNet has the same names but for its last layer. It is imported as a backbone
with a newly initialised head.
"""

import jax
import numpy as np

from bilateral_jax import models
from bilateral_jax.importers import variables as variables_lib
from bilateral_jax.importers.formats import failures, keras
from bilateral_jax.models import model as model_lib

_HEAD = "dense_1"
_IMAGENET_HEAD = "conv_preds/"
_LEAVES = {"scale": "gamma", "bias": "beta", "mean": "moving_mean", "var": "moving_variance"}


@failures.importer
def load(source) -> model_lib.Model:
    """Builds a network from Keras' weights.

    Args:
      source: mapping of names to arrays, HDF5 file, SavedModel folder, `.npz` file, or TensorFlow
        checkpoint (prefix, `.index` file or folder).

    Returns:
      The model; its width follows from the shapes. Its input is 224 x 224, by nearest neighbours.

    Raises:
      FileNotFoundError: no such file.
      ImportError: an HDF5 file, and h5py is not installed.
      ValueError: not a MobileNet, or variables are missing, left over or of the wrong shape.
    """
    variables = keras.read(source)
    first = variables.get("conv1/kernel")
    if first is None or np.ndim(first) != 4 or "conv_dw_1/depthwise_kernel" not in variables:
        shown = variables_lib.first_names(variables)
        raise ValueError(
            "there are no kernels conv1/kernel and conv_dw_1/depthwise_kernel, so this is no "
            f"MobileNet; the first names: {shown}"
        )
    module = models.create("NIMAMobileNet", {"width": first.shape[-1] / 32})
    return from_variables(variables, module)


def from_variables(variables, module) -> model_lib.Model:
    """Fills a network with Keras' variables.

    Args:
      variables: name to array, as `keras.read` gives them. The head may have any name that starts
        with "dense"; without one it is initialised.
      module: a `NIMAMobileNet`.

    Returns:
      The model.

    Raises:
      ValueError: variables missing, left over or of the wrong shape; each is named.
    """
    kept = {n: a for n, a in variables.items() if not n.startswith(_IMAGENET_HEAD)}
    heads = sorted({name.split("/")[0] for name in kept if name.startswith("dense")})
    if not heads:
        naming = _naming(_HEAD)
        head = {n: leaf for n, leaf in _shapes(module, naming).items() if n.startswith(_HEAD)}
        variables_lib.check(module, kept | head, naming)  # before a network of that size is made
        drawn = model_lib.Model.init(module, jax.random.key(0)).params["head"]
        kept |= {f"{_HEAD}/{leaf}": np.asarray(array) for leaf, array in drawn.items()}
        heads = [_HEAD]
    return variables_lib.from_foreign(module, kept, _naming(heads[0]))


def to_variables(model: model_lib.Model) -> dict[str, np.ndarray]:
    """Returns a network's weights under Keras' names: the inverse of `load`.

    Args:
      model: a `NIMAMobileNet` with its weights.

    Returns:
      Name to float32 array.
    """
    return variables_lib.to_foreign(model, _naming(_HEAD))


def table(module) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Maps Keras' name of each variable to (path in our tree, Keras' shape).

    Args:
      module: a `NIMAMobileNet`.
    """
    return variables_lib.table(module, _naming(_HEAD))


def _shapes(module, naming):
    table = variables_lib.table(module, naming)
    return {name: jax.ShapeDtypeStruct(shape, np.float32) for name, (_, shape) in table.items()}


def _naming(head):
    def original(path):
        _, layer, leaf = path
        if layer == "head":
            return f"{head}/{leaf}", 0, 0
        if layer.startswith("conv_dw") and leaf == "kernel":
            return f"{layer}/depthwise_kernel", 0, 1
        return f"{layer}/{_LEAVES.get(leaf, leaf)}", 0, 0

    return original

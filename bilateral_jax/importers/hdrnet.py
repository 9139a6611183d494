"""Weights of the original HDRNet (TensorFlow variable names) to our networks.

The original's names and shapes, then ours; both store kernels as HWIO (dense layers in-out), so
nothing is transposed. N is the block and number of a layer, as in `splat/conv1` and `splat_conv1`:

    inference/coefficients/N/weights                  params       coefficient_network/N/kernel
    inference/coefficients/N/biases                   params       coefficient_network/N/bias
    .../BatchNorm/beta                                params       .../batch_norm/beta
    .../BatchNorm/moving_mean, moving_variance        batch_stats  .../batch_norm/mean, variance
    inference/coefficients/prediction/conv1/..        params       coefficient_network/prediction/..
    inference/guide/ccm [3, 3], ccm_bias [3]          params       guide_network/ccm, ccm_bias
    inference/guide/shifts [1, 1, 3, 16]              params       guide_network/shifts [3, 16]
    inference/guide/slopes [1, 1, 1, 3, 16]           params       guide_network/slopes [3, 16]
    inference/guide/channel_mixing/weights [1,1,3,1]  params       guide_network/mix [3]
    inference/guide/channel_mixing/biases [1]         params       guide_network/mix_bias []
    inference/guide/conv1/weights [1, 1, 3, n]        params       guide_network/hidden [3, n]
    inference/guide/conv1/BatchNorm/..                both         guide_network/batch_norm/..
    inference/guide/conv2/weights [1, 1, n, 1]        params       guide_network/out [n, 1]
    inference/guide/conv2/biases [1]                  params       guide_network/bias []
    inference/guide/level_K/..                        both         guide_network_K/..  (pyramid)
"""

import math
from collections.abc import Mapping

import numpy as np

from bilateral_jax import models
from bilateral_jax.importers import variables as variables_lib
from bilateral_jax.importers.formats import failures
from bilateral_jax.models import model as model_lib

_SCOPE = "inference/"
_LEAVES = {
    "kernel": "weights",
    "bias": "biases",
    "beta": "BatchNorm/beta",
    "mean": "BatchNorm/moving_mean",
    "variance": "BatchNorm/moving_variance",
}
# Ours to (original, axes of length 1 in front, behind).
_GUIDE_LEAVES = {
    "ccm": ("ccm", 0, 0),
    "ccm_bias": ("ccm_bias", 0, 0),
    "shifts": ("shifts", 2, 0),
    "slopes": ("slopes", 3, 0),
    "mix": ("channel_mixing/weights", 2, 1),
    "mix_bias": ("channel_mixing/biases", 1, 0),
    "hidden": ("conv1/weights", 2, 0),
    "out": ("conv2/weights", 2, 0),
    "bias": ("conv2/biases", 1, 0),
    "beta": ("conv1/BatchNorm/beta", 0, 0),
    "mean": ("conv1/BatchNorm/moving_mean", 0, 0),
    "variance": ("conv1/BatchNorm/moving_variance", 0, 0),
}


@failures.importer
def load(source, *, spatial_bin: int | None = None) -> model_lib.Model:
    """Builds a model from the original's weights; the network follows from names and shapes.

    Args:
      source: mapping of variable names to arrays, an `.npz` file of these, or a TensorFlow
        checkpoint (prefix, `.index` file or folder). Optimiser slots and names outside the scope
        `inference/` are ignored.
      spatial_bin: grid cells per side. None takes the multiple of 4 that fits the first dense
        layer, which is right for every grid but those of 1-3, 5-7, ... cells: their weights have
        the same shapes.

    Returns:
      The model, in the `paper` preset.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not an HDRNet, or variables are missing, left over or of the wrong shape; each is
        named.
    """
    variables = network_variables(variables_lib.read(source), "HDRNet")
    return from_variables(variables, create_module(variables, spatial_bin=spatial_bin))


def create_module(variables: Mapping[str, np.ndarray], *, spatial_bin: int | None = None):
    """Infers the network and its hyper-parameters.

    Args:
      variables: name (without ":0", with the scope) to array.
      spatial_bin: see `load`.

    Returns:
      The linen module.

    Raises:
      ValueError: a variable that decides this is missing, or the shapes contradict each other.
    """
    if "inference/guide/ccm" in variables:
        name, guide = "HDRNetCurves", None
    elif "inference/guide/level_0/conv1/weights" in variables:
        name, guide = "HDRNetGaussianPyrNN", "level_0/conv1/weights"
    else:
        name, guide = "HDRNetPointwiseNNGuide", "conv1/weights"
    fields = sizes(variables, models.REGISTRY[name].n_out, spatial_bin=spatial_bin)
    if guide:
        fields["guide_complexity"] = _shape(variables, f"{_SCOPE}guide/{guide}", 4)[-1]
    return models.create(name, fields)


def sizes(variables: Mapping[str, np.ndarray], n_out: int, *, spatial_bin: int | None = None):
    """Infers the hyper-parameters of the coefficient network.

    Args:
      variables: name (without ":0", with the scope) to array.
      n_out: rows of the matrices in the grid.
      spatial_bin: see `load`.

    Returns:
      Field to value.

    Raises:
      ValueError: as `create_module`.
    """
    coefficients = _SCOPE + "coefficients/"
    prediction = _shape(variables, coefficients + "prediction/conv1/weights", 4)[-1]
    luma_bins = _quotient(prediction, 4 * n_out, "prediction/conv1 channels", "4 * outputs")
    first = _shape(variables, coefficients + "splat/conv1/weights", 4)[-1]
    multiplier = _quotient(first, luma_bins, "splat/conv1 channels", "luma_bins")
    rows = _shape(variables, coefficients + "global/fc1/weights", 2)[0]
    cells = _quotient(rows, 8 * first, "global/fc1 inputs", "channels")
    if spatial_bin is None:
        spatial_bin = 4 * math.isqrt(cells)
    if math.ceil(spatial_bin / 4) ** 2 != cells:
        raise ValueError(
            f"spatial_bin {spatial_bin} does not fit global/fc1, which sees {cells} cells"
        )
    depth = sum(f"{coefficients}splat/conv{i}/weights" in variables for i in range(1, 17))
    return {
        "net_input_size": spatial_bin * 2**depth,
        "spatial_bin": spatial_bin,
        "luma_bins": luma_bins,
        "channel_multiplier": multiplier,
        "batch_norm": any(k.startswith(coefficients) and "/BatchNorm/" in k for k in variables),
    }


def from_variables(variables: Mapping[str, np.ndarray], module) -> model_lib.Model:
    """Fills a network with the original's variables.

    Args:
      variables: name (without ":0", with the scope) to array.
      module: the network.

    Returns:
      The model.

    Raises:
      ValueError: variables missing, left over or of the wrong shape; each is named.
    """
    return variables_lib.from_foreign(module, variables, original_name)


def to_variables(model: model_lib.Model) -> dict[str, np.ndarray]:
    """Converts a model's weights to the original's names and shapes; inverts `load`.

    Args:
      model: one of the three networks.

    Returns:
      Name to float32 array.
    """
    return variables_lib.to_foreign(model, original_name)


def table(module) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Lists the variables that a network is built from.

    Args:
      module: the network.

    Returns:
      Original name to (our path, the original's shape).
    """
    return variables_lib.table(module, original_name)


def original_name(path) -> tuple[str, int, int]:
    """Maps a leaf to (original name, axes of length 1 in front of ours, behind them)."""
    _, network, *inner = path
    leaf = inner[-1]
    if network == "coefficient_network":
        layer = "prediction/conv1" if inner[0] == "prediction" else inner[0].replace("_", "/")
        return f"{_SCOPE}coefficients/{layer}/{_LEAVES[leaf]}", 0, 0
    level = network.removeprefix("guide_network").replace("_", "level_")
    name, before, behind = _GUIDE_LEAVES[leaf]
    return "/".join(filter(None, [f"{_SCOPE}guide", level, name])), before, behind


def network_variables(variables: Mapping[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """Keeps the network's own variables, those in the scope `inference/`.

    Args:
      variables: name to array.
      kind: name of the network, for the message.

    Returns:
      Name to array.

    Raises:
      ValueError: there are none.
    """
    kept = {name: array for name, array in variables.items() if name.startswith(_SCOPE)}
    if not kept:
        shown = variables_lib.first_names(variables)
        raise ValueError(
            f"no variable starts with {_SCOPE!r}, so this is no {kind}; the first names: {shown}"
        )
    return kept


def _shape(variables, name, rank):
    if name not in variables:
        raise ValueError(f"the variables do not fit an HDRNet: missing: {name}")
    shape = np.shape(variables[name])
    if len(shape) != rank:
        raise ValueError(
            f"the variables do not fit an HDRNet: {name} is {shape}, expected {rank} axes"
        )
    return shape


def _quotient(value, by, what, unit):
    if value % by or not value:
        raise ValueError(
            f"the variables do not fit an HDRNet: {what} ({value}) is no multiple of {unit} ({by})"
        )
    return value // by

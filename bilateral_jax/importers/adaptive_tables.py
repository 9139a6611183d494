"""Weights of the published LUTwithBGrid, SVDLUT and SepLUT (PyTorch names) to our networks.

    backbone.model.N, backbone.I.0, backbone.I.2   params  features/conv_I, norm_I
    *.weights_generator.weight, bias               params  NAME/weights/kernel, bias
    *.basis_luts_bank, basis_grids_bank            params  NAME/arrays/kernel, bias
    slice.conv_1d                                  params  mix/kernel, bias            LUTwithBGrid
    lut1d_generator.lut1d_generator                params  curves/kernel, bias         SepLUT

NAME is table, grids (LUTwithBGrid), table (SepLUT), or table_planes, table_mix, grid_planes,
grid_mix (SVDLUT). Those networks with a ResNet-18 in front (PPR10K) are not built.
"""

import numpy as np

from bilateral_jax import models
from bilateral_jax.importers import torch_layout
from bilateral_jax.importers import variables as variables_lib
from bilateral_jax.importers.formats import failures
from bilateral_jax.models import model as model_lib

# network -> name of ours -> the original's
_NAMES = {
    "LUTwithBGrid": {
        "table": ("gen_3d_lut", "basis_luts_bank"),
        "grids": ("gen_bilateral", "basis_grids_bank"),
    },
    "SVDLUT": {
        "table_planes": ("gen_2d_lut", "basis_luts_bank"),
        "table_mix": ("gen_2d_lut_weight_bias", "basis_luts_bank"),
        "grid_planes": ("gen_2d_bilateral", "basis_grids_bank"),
        "grid_mix": ("gen_2d_grid_weight_bias", "basis_luts_bank"),
    },
    "SepLUT": {"table": ("lut3d_generator", "basis_luts_bank")},
}
_DENSE = {"mix": "slice.conv_1d", "curves": "lut1d_generator.lut1d_generator"}
_LEAF = {"kernel": "weight", "bias": "bias", "scale": "weight", "shift": "bias"}
_MOST_NODES = 128


@failures.importer
def load_lut_bgrid(source, *, positions: str = "integer_division") -> model_lib.Model:
    """Builds a LUTwithBGrid from the original's weights.

    Args:
      source: mapping of names to arrays, PyTorch file, or `.npz` of the same names.
      positions: "integer_division" as the published kernels have it; or "align_corners": every node
        of a grid gets the curve of the corner that all pixels but those of the last row and column
        use, so that the image is the same but there, and training can go on with true positions.

    Returns:
      The model; sizes follow from the shapes.

    Raises:
      FileNotFoundError: no such file.
      ValueError: another network, or variables are missing, left over or of the wrong shape; each
        is named.
    """
    variables, first = _read(source, "LUTwithBGrid", "slice.conv_1d.weight")
    table, grids = _arrays(variables, "LUTwithBGrid", "table", "grids")
    slices = (np.shape(variables["slice.conv_1d.weight"])[-2] - 3) // 3
    fields = {
        "width": first,
        "table_ranks": table[0],
        "table_nodes": _nodes(table[1] / 3, 3),
        "grid_ranks": grids[0],
        "grid_nodes": _nodes(grids[1] / (3 * max(slices, 1)), 3),
        "slices": slices,
        "positions": positions,
    }
    model = _build("LUTwithBGrid", fields, variables)
    if positions == "integer_division":
        return model
    nodes = (fields["grid_nodes"],) * 3  # of a channel's value, y, x
    return _spread(model, "grids", nodes, lambda arrays: arrays[..., :1, :1])


@failures.importer
def load_svdlut(source, *, positions: str = "integer_division") -> model_lib.Model:
    """Builds an SVDLUT from the original's weights.

    Args:
      source: mapping of names to arrays, PyTorch file, or `.npz` of the same names.
      positions: as for `load_lut_bgrid`.

    Returns:
      The model; the number of nodes is 33 for the colour planes, as published, and follows from
      the shapes for the rest.

    Raises:
      FileNotFoundError: no such file.
      ValueError: another network, or variables are missing, left over or of the wrong shape; each
        is named.
    """
    variables, first = _read(source, "SVDLUT", "gen_2d_lut.basis_luts_bank.weight")
    planes, mix, grid = _arrays(variables, "SVDLUT", "table_planes", "grid_mix", "grid_planes")
    grids, nodes = mix[1] // 12, 33
    fields = {
        "width": first,
        "ranks": planes[0],
        "table_nodes": nodes,
        "singular_values": max(planes[1] // 9 // (2 * nodes + 1), 1),
        "grids": grids,
        "grid_nodes": _nodes(grid[1] / (9 * max(grids, 1)), 2),
        "positions": positions,
    }
    model = _build("SVDLUT", fields, variables)
    if positions == "integer_division":
        return model
    nodes = (3, *(fields["grid_nodes"],) * 2)  # planes (y, x), (value, x), (value, y)

    def corner(planes):
        first = planes[..., :1]
        return np.concatenate(
            [
                np.broadcast_to(first[..., :1, :1, :], first[..., :1, :, :].shape),
                first[..., 1:, :, :],
            ],
            axis=-3,
        )

    return _spread(model, "grid_planes", nodes, corner)


@failures.importer
def load_seplut(source) -> model_lib.Model:
    """Builds a SepLUT from the original's weights.

    Args:
      source: mapping of names to arrays, PyTorch file, or `.npz` of the same names.

    Returns:
      The model; sizes follow from the shapes.

    Raises:
      FileNotFoundError: no such file.
      ValueError: another network, or variables are missing, left over or of the wrong shape; each
        is named.
    """
    curve = "lut1d_generator.lut1d_generator.weight"
    variables, first = _read(source, "SepLUT", curve)
    (table,) = _arrays(variables, "SepLUT", "table")
    fields = {
        "width": first,
        "curve_nodes": np.shape(variables[curve])[-1] // 3,
        "table_ranks": table[0],
        "table_nodes": _nodes(table[1] / 3, 3),
    }
    return _build("SepLUT", fields, variables)


def to_variables(model: model_lib.Model) -> dict[str, np.ndarray]:
    """Returns a network's weights under the original's names and in its order of axes.

    Args:
      model: a `LUTwithBGrid`, `SVDLUT` or `SepLUT` with its weights.

    Returns:
      Name to float32 array.
    """
    ours = variables_lib.to_foreign(model, _naming(type(model.module).__name__))
    return {name: torch_layout.to_torch(array) for name, array in ours.items()}


def _read(source, network, wanted):
    """Reads the variables and the width of the first convolution."""
    variables = torch_layout.read(source)
    conv = variables.get(_naming(network)(("params", "features", "conv_0", "kernel"))[0])
    if any(name.startswith(("backbone.conv1.", "backbone.net.")) for name in variables) or any(
        name.startswith("backbone.model.conv1") for name in variables
    ):
        raise ValueError(f"this {network} has a ResNet-18 in front, which is not built here")
    if np.ndim(conv) != 4 or 0 in conv.shape or np.ndim(variables.get(wanted)) not in (2, 4):
        raise ValueError(
            f"there are no kernels of a backbone or no {wanted}, so this is no {network}; the "
            f"first names: {variables_lib.first_names(variables)}"
        )
    return variables, conv.shape[-1]


def _arrays(variables, network, *names):
    """Shapes `(ranks, size)` of the learned arrays."""
    shapes = []
    for name in names:
        foreign = f"{'.'.join(_NAMES[network][name])}.weight"
        array = variables.get(foreign)
        if np.ndim(array) != 2 or 0 in np.shape(array):
            raise ValueError(f"there is no matrix {foreign}, so this is no {network}")
        shapes.append(array.shape)
    return shapes


def _spread(model, layer, shape, corner):
    """Repeats the values at a grid's corner over all positions.

    Args:
      model: the network.
      layer: name of its learned grids.
      shape: the last axes of a grid, those of the position last.
      corner: function from `[..., *shape]` to what is repeated, with axes of length 1.
    """
    params = dict(model.params)

    def repeated(flat):
        arrays = np.reshape(flat, (*flat.shape[:-1], -1, *shape))
        return np.broadcast_to(corner(arrays), arrays.shape).reshape(flat.shape)

    arrays = {leaf: repeated(flat) for leaf, flat in params[layer]["arrays"].items()}
    params[layer] = params[layer] | {"arrays": arrays}
    return model.replace(params=params)


def _nodes(size, axes):
    nodes = round(max(size, 1) ** (1 / axes))
    return min(max(nodes, 2), _MOST_NODES)


def _build(name, fields, variables):
    module = models.create(name, fields)
    return variables_lib.from_foreign(module, variables, _naming(name))


def _naming(network):
    def original(path):
        _, layer, *inner, leaf = path
        name = _LEAF[leaf]
        if layer == "features":
            kind, number = inner[0].split("_")
            return f"{_backbone(network, kind, int(number))}.{name}", 0, 0
        if layer in _DENSE:
            return f"{_DENSE[layer]}.{name}", 2 * (layer == "mix" and leaf == "kernel"), 0
        generator, bank = _NAMES[network][layer]
        return f"{generator}.{'weights_generator' if inner[0] == 'weights' else bank}.{name}", 0, 0

    return original


def _backbone(network, kind, number):
    if network == "SepLUT":
        return f"backbone.{number}.{0 if kind == 'conv' else 2}"
    return f"backbone.model.{3 * number + (1 if kind == 'conv' else 3)}"

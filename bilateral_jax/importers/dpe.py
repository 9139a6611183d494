"""Weights of the published Deep Photo Enhancer generators (TensorFlow names) to our network.

The scope is netG-N_var_scope/netG-N_var_scopeG, with the number N of the experiment and the letter
G of the generator (A enhances; a two-way training also has B). Three folders in it, netG-N_1, _2
and _3, number the steps of the encoder, of the global vector and of the decoder from 0:

    1/conv_0, 3, 6, 9, 12 + _w, _b              params  encoder_0..4/convolution/kernel, bias
    2/conv_0, 3                                 params  summary_0, 1/convolution/kernel, bias
    2/conv_6                                    params  head/kernel, bias
    2/conv_8                                    params  vector/convolution/kernel, bias
    3/conv_0, conv_2                            params  middle, fusion/convolution/kernel, bias
    3/conv_5, 10, 15, 20                        params  decoder_0..3/convolution/kernel, bias
    3/conv_25, conv_28                          params  last_0, last_1/convolution/kernel, bias
    1/bn_2, 5, 8, 11, 14                        encoder_norms_0..4
    2/bn_2, bn_5                                summary_norms_0, 1
    3/bn_4; 9, 14, 19, 24; 27                   fusion_norm; decoder_norms_0..3; last_norm
    bn_I_S_scale, bn_I_S_offset                 params  NORM/scale_S, shift_S
    bn_I_S_mv_mean, bn_I_S_mv_var               batch_stats  NORM/mean_S, variance_S

Kernels are HWIO on both sides. The published networks take and give blue, green, red; the first and
the last convolution are reversed here, so that ours have red, green, blue.
"""

import re

import numpy as np

from bilateral_jax import models
from bilateral_jax.importers import variables as variables_lib
from bilateral_jax.importers.formats import failures
from bilateral_jax.models import model as model_lib

_FIRST, _LAST = "1/conv_0_w", ("3/conv_28_w", "3/conv_28_b")
_LAYERS = {
    **{f"encoder_{i}": f"1/conv_{3 * i}" for i in range(5)},
    **{f"encoder_norms_{i}": f"1/bn_{3 * i + 2}" for i in range(5)},
    **{f"summary_{i}": f"2/conv_{3 * i}" for i in range(2)},
    **{f"summary_norms_{i}": f"2/bn_{3 * i + 2}" for i in range(2)},
    "head": "2/conv_6",
    "vector": "2/conv_8",
    "middle": "3/conv_0",
    "fusion": "3/conv_2",
    "fusion_norm": "3/bn_4",
    **{f"decoder_{i}": f"3/conv_{5 * i + 5}" for i in range(4)},
    **{f"decoder_norms_{i}": f"3/bn_{5 * i + 9}" for i in range(4)},
    "last_0": "3/conv_25",
    "last_norm": "3/bn_27",
    "last_1": "3/conv_28",
}
_LEAVES = {
    "kernel": "w",
    "bias": "b",
    "scale": "scale",
    "shift": "offset",
    "mean": "mv_mean",
    "variance": "mv_var",
}
_STRIDE = 64  # pixels of the photo for each position of the head's kernel
_MOST_SETS = 8
GENERATORS = ("A", "B")


@failures.importer
def load(source, *, generator: str = "A") -> model_lib.Model:
    """Builds a generator from the original's weights; its size follows from names and shapes.

    Args:
      source: mapping of names to arrays, `.npz` file, or TensorFlow checkpoint (prefix, `.index`
        file or folder).
      generator: "A", which enhances, or "B", the other one of a two-way training.

    Returns:
      The model.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not a generator of that letter, or variables are missing, left over or of the
        wrong shape.
    """
    if generator not in GENERATORS:
        raise ValueError(f"generator must be one of {GENERATORS}, got {generator!r}")
    found = variables_lib.read(source)
    scope = re.compile(rf"netG-(\d+)_var_scope/netG-\1_var_scope{generator}/netG-\1_([123]/.+)")
    matches = {name: scope.fullmatch(name) for name in found}
    variables = {match[2]: found[name] for name, match in matches.items() if match}
    first, head = variables.get(_FIRST), variables.get("2/conv_6_w")
    if any(kernel is None or np.ndim(kernel) != 4 for kernel in (first, head)):
        shown = variables_lib.first_names(found)
        raise ValueError(
            f"there are no kernels netG-N_var_scope/netG-N_var_scope{generator}/netG-N_1/conv_0_w "
            f"and netG-N_2/conv_6_w, so this is no DPE generator; the first names: {shown}"
        )
    fields = {
        "width": first.shape[-1],
        "size": _STRIDE * head.shape[0],
        "norm_sets": sum(f"1/bn_2_{i}_scale" in variables for i in range(_MOST_SETS)),
    }
    return from_variables(variables, models.create("DPE", fields))


def from_variables(variables, module) -> model_lib.Model:
    """Fills a generator with the original's variables.

    Args:
      variables: name without the scope ("1/conv_0_w") to array.
      module: a `DPE`.

    Returns:
      The model.

    Raises:
      ValueError: variables missing, left over or of the wrong shape; each is named.
    """
    checked = variables_lib.check(module, variables, _original)
    return variables_lib.from_foreign(module, _colors_reversed(checked), _original)


def to_variables(model: model_lib.Model, *, scope: str = "") -> dict[str, np.ndarray]:
    """Returns a generator's weights under the original's names: the inverse of `load`.

    Args:
      model: a `DPE` with its weights.
      scope: what the original has before "1/conv_0_w".

    Returns:
      Name to float32 array.
    """
    named = _colors_reversed(variables_lib.to_foreign(model, _original))
    return {scope + name: array for name, array in named.items()}


def table(module) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Maps the original name of each variable, without its scope, to (our path, original shape).

    Args:
      module: a `DPE`.
    """
    return variables_lib.table(module, _original)


def _colors_reversed(variables):
    """Reverses the colours of the first kernel's inputs and of the last layer's outputs."""
    reversed_ = {_FIRST: np.asarray(variables[_FIRST])[:, :, ::-1]}
    reversed_ |= {name: np.asarray(variables[name])[..., ::-1] for name in _LAST}
    return dict(variables) | reversed_


def _original(path):
    _, layer, *_, leaf = path
    kind, _, norm_set = leaf.partition("_")
    infix = f"_{norm_set}" if norm_set else ""
    return f"{_LAYERS[layer]}{infix}_{_LEAVES[kind]}", 0, 0

"""Weights of the original UPE (TensorFlow variable names) to our network.

The names are HDRNet's (`importers/hdrnet.py` has the table; the guide is the one by curves), with
`global/conv1` to `global/conv12` and `local/conv1` to `local/conv6`, of which only the first has
biases: 53 variables in all. `hdrnet.to_variables` and `hdrnet.table` serve a UPE, too.
"""

from bilateral_jax import models
from bilateral_jax.importers import hdrnet
from bilateral_jax.importers import variables as variables_lib
from bilateral_jax.importers.formats import failures
from bilateral_jax.models import model as model_lib


@failures.importer
def load(source, *, rendering: str = "graph") -> model_lib.Model:
    """Builds a model from the original's weights; sizes follow from the shapes.

    Args:
      source: mapping of variable names to arrays, an `.npz` file of these, or a TensorFlow
        checkpoint (prefix, `.index` file or folder). Optimiser slots and names outside the scope
        `inference/` are ignored.
      rendering: how the model renders, see `models/upe.py`: "graph" in float, as in
        training, or "script" in 8 bits, as the published script.

    Returns:
      The model, in the `paper` preset.

    Raises:
      FileNotFoundError: no such file, or a checkpoint whose data file is missing (the published
        repository has held the index without it).
      ValueError: not a UPE, or variables are missing, left over or of the wrong shape; each is
        named.
    """
    variables = hdrnet.network_variables(variables_lib.read(source), "UPE")
    if "inference/coefficients/global/conv3/weights" not in variables:
        raise ValueError(
            "inference/coefficients/global/conv3/weights is missing, so this is no UPE"
            " (an HDRNet has two global convolutions, UPE twelve)"
        )
    fields = hdrnet.sizes(variables, models.REGISTRY["UPE"].n_out)
    return hdrnet.from_variables(variables, models.create("UPE", fields | {"rendering": rendering}))

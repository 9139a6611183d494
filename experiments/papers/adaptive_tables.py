"""LUTwithBGrid, SVDLUT and SepLUT: networks that predict grids, curves and tables, on pairs.

The published loss of the first two is MSE + 0.05 LPIPS + 0.005 CIE94, and of LUTwithBGrid the
regularizers of its table beside; LPIPS needs an AlexNet and is left out. SepLUT's is MSE + 1e-4
times the mean square of the weights of its tables.

Reference: Kim and Cho 2024, Kim, Lee and Cho 2025, Yang et al. 2022 (see models/lut_bgrid.py,
svdlut.py, seplut.py); published code.
"""

import functools

import jax.numpy as jnp

from bilateral_jax import metrics as metrics_lib
from bilateral_jax.losses import color_difference, reconstruction, tables
from bilateral_jax.models.layers import adaptive_transform
from experiments.papers import hdrnet


def build(*, model, loss, **training):
    """Builds the experiment from the sections of a config.

    Args:
      model: options of `hdrnet.create`.
      loss: weights of the terms, keywords of `_losses`.
      **training: the steps and the other sections, see `hdrnet.assemble`.

    Returns:
      An `Experiment`.

    Raises:
      ValueError: a network of another kind, or a weight for what it does not have.
      TypeError: a section holds a key that nothing takes; the message names it.
    """
    module = hdrnet.create(**model)
    if not isinstance(module, adaptive_transform.AdaptiveTransform):
        raise ValueError(
            f"model.name must be LUTwithBGrid, SVDLUT or SepLUT, got {type(module).__name__}"
        )
    if loss.get("weights") and type(module).__name__ == "SVDLUT":
        raise ValueError("loss.weights: an SVDLUT has no weights of tables, so it must be 0")
    paper = hdrnet.assemble(module, functools.partial(_terms, **loss), random=True, **training)
    return paper._replace(batches=hdrnet.crops_for(module))


def _terms(network, batch, *, key, **weights):
    small = hdrnet.lowres_input(network.module, batch)
    coefficients = network.apply(small, method="coefficients", dropout_key=key)
    output = network.apply(coefficients, batch["input"], method="render", window=batch["window"])
    return *_losses(coefficients, output, batch, **weights), network


def _losses(coefficients, output, batch, *, mse, cie94, weights, total_variation, monotonicity):
    """Per-example loss and metrics; the keywords are the weights of the terms."""
    target, valid = batch["target"], batch.get("valid")
    error = reconstruction.mse(output, target, valid=valid)
    value = mse * error
    if cie94:
        value += cie94 * color_difference.cie94(output, target, valid=valid)
    if weights:
        value += weights * jnp.square(coefficients["table_weights"]).mean(-1)
    if total_variation:
        value += total_variation * tables.total_variation(coefficients["table"])
    if monotonicity:
        value += monotonicity * tables.monotonicity(coefficients["table"])
    return value, {"psnr": metrics_lib.psnr_from_mse(error)}

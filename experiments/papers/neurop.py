"""NeurOp: its operators alone on adjusted photos, then with their strengths on pairs.

Stage "operators" initialises each operator: strength 0 must leave a photo as it is, and the
difference of two levels of an adjustment (black clipping, exposure, vibrance) must lead from the
photo at one level to the photo at the other. Stage "whole" starts from these weights and trains
operators, encoder and strengths on pairs of photo and retouched photo.

Reference: Wang et al. 2022, "Neural color operators for sequential image retouching"; published
code.
"""

import functools

import jax
import jax.numpy as jnp

from bilateral_jax import metrics as metrics_lib
from bilateral_jax.data.pipeline import whole_photos
from bilateral_jax.losses import illumination, reconstruction, variation
from bilateral_jax.models import neurop
from experiments.operators import color_adjustments
from experiments.papers import hdrnet

STAGES = ("operators", "whole")


def build(*, model, stage, loss, **training):
    """Builds the experiment from the sections of a config.

    Args:
      model: options of `hdrnet.create`.
      stage: "operators" or "whole".
      loss: weights of the terms: of `_operator_loss` or of `_losses`.
      **training: the steps and the other sections, see `hdrnet.assemble`.

    Returns:
      An `Experiment`.

    Raises:
      ValueError: another network, an unknown stage, or an operator without an adjustment to
        initialise it by.
      TypeError: a section holds a key that nothing takes; the message names it.
    """
    module = hdrnet.create(**model)
    if not isinstance(module, neurop.NeurOp):
        raise ValueError(f"model.name must be NeurOp, got {type(module).__name__}")
    if stage not in STAGES:
        raise ValueError(f"stage must be one of {STAGES}, got {stage!r}")
    if stage == "whole":
        paper = hdrnet.assemble(module, functools.partial(_terms, **loss), **training)
    else:
        unknown = sorted(set(module.operators) - set(color_adjustments.ADJUSTMENTS))
        if unknown:
            raise ValueError(
                f"model.operators: there is no adjustment to initialise {', '.join(unknown)} by; "
                f"there is one for {', '.join(color_adjustments.ADJUSTMENTS)}"
            )
        terms = functools.partial(_operator_terms, **loss)
        paper = hdrnet.assemble(module, terms, random=True, **training)
        paper = paper._replace(shown=("loss",))
    return paper._replace(batches=whole_photos.train_batches)


def _check_not_padded(batch):
    if "valid" in batch:
        raise ValueError("NeurOp sees the whole photo, so batches.pad_to must be None")


def _terms(network, batch, **weights):
    _check_not_padded(batch)
    output = network.apply(batch["input"])
    return *_losses(output, batch["target"], **weights), network


def _losses(output, target, *, l1, cosine, total_variation):
    """Per-example loss and metrics; the keywords are the weights of the terms."""
    value = (
        l1 * reconstruction.l1(output, target)
        + cosine * illumination.color_loss(output, target)
        + total_variation * variation.total_variation(output)
    )
    return value, {"psnr": metrics_lib.psnr_from_mse(reconstruction.mse(output, target))}


def _operator_terms(network, batch, *, key, **weights):
    """Stage "operators": every step draws two levels per photo and operator."""
    _check_not_padded(batch)
    shape = (2, len(network.module.operators), len(batch["weight"]), 1, 1, 1)
    levels = jax.random.uniform(key, shape, minval=-1.0)
    return _operator_loss(network, batch["input"], levels, **weights), {}, network


def _operator_loss(network, photo, levels, *, unary, pair):
    """Per-example loss of the operators alone.

    Args:
      network: a `Model` of NeurOp.
      photo: `[b, h, w, 3]`.
      levels: `[2, operators, b, 1, 1, 1]` in [-1, 1]: of the photo before and after.
      unary: weight of the difference that strength 0 makes.
      pair: weight of the difference from the photo after.

    Returns:
      `[b]`.
    """
    value = jnp.zeros(len(photo))
    for name, before, after in zip(network.module.operators, *levels, strict=True):
        adjust = color_adjustments.ADJUSTMENTS[name]
        image, target = adjust(photo, before), adjust(photo, after)
        operate = functools.partial(network.apply, name=name, method="operate")
        value += unary * reconstruction.l1(operate(image, jnp.zeros_like(before)), image)
        value += pair * reconstruction.l1(operate(image, after - before), target)
    return value

"""UPE as an experiment: a network that learns illumination, by the three losses of the paper.

A content term, which the paper does not have, can be added: the distance of the features that a
frozen network computes of the result and of the target.

Reference: Wang et al. 2019, "Underexposed photo enhancement using deep illumination estimation";
the losses as in the published training graph and as in the paper.
"""

import functools

import jax.numpy as jnp

from bilateral_jax import metrics as metrics_lib
from bilateral_jax.losses import illumination, reconstruction, term_shares
from bilateral_jax.models import upe
from experiments.papers import hdrnet
from experiments.runs import feature_network

RECONS = ("div", "mul")


def build(*, model, loss, **training):
    """Builds the experiment from the sections of a config.

    Args:
      model: options of `hdrnet.create`. Rendering "direct" trains the network without illumination,
        a direct regression of the output image.
      loss: keywords of `_losses`; `features`, where the weight of the content term is above 0: see
        `feature_network.read`; and `layers` of that network, None for its `content_layers`.
      **training: the steps and the other sections, see `hdrnet.assemble`.

    Returns:
      An `Experiment`.

    Raises:
      TypeError: a section holds a key that nothing takes; the message names it.
      ValueError: a rendering that cannot be trained, an unknown form of a loss, a loss of the
        illumination where there is none, or a content term without features.
      FileNotFoundError: there are no weights where `loss.features` says.
      ImportError: the package with the weights that `loss.features` names is not installed.
    """
    module = hdrnet.create(**model)
    if not isinstance(module, upe.UPE):
        raise ValueError(f"model.name must be UPE, got {type(module).__name__}")
    frozen, loss = _read_features(**loss)
    _check(module.rendering, **loss)
    paper = hdrnet.assemble(module, functools.partial(_terms, **loss), **training)
    return paper._replace(batches=hdrnet.crops_for(module), frozen=frozen)


def _read_features(*, content=0.0, features=None, layers=None, **loss):
    """Reads the feature network: (the tuple of frozen networks, the keywords of `_losses`)."""
    frozen, loss = (), loss | {"content": content, "layers": layers}
    if content and features is None:
        raise ValueError(
            f"loss.content is {content}, so loss.features must be "
            f'"{feature_network.INSTALLED}" or the folder of imported weights; it is None'
        )
    if content:
        frozen = (feature_network.read(features, layers=layers),)
    return frozen, loss


def _check(rendering, *, recon, smoothness, **_):
    if rendering == "script":
        raise ValueError('model.rendering "script" rounds and has no gradient; train with "graph"')
    if recon not in RECONS:
        raise ValueError(f"loss.recon must be one of {RECONS}, got {recon!r}")
    if rendering == "direct" and (smoothness or recon != "div"):
        raise ValueError(
            'model.rendering "direct" has no illumination: loss.smoothness must be 0 and loss.recon'
            f' "div", got {smoothness} and {recon!r}'
        )


def _terms(network, batch, feature_model=None, **loss):
    """Per-example loss, metrics, and the network with new statistics."""
    grid, network = hdrnet.predict_grid(network, batch)
    image, options = batch["input"], {"window": batch["window"], "train": True}
    if network.module.rendering == "direct":
        result, network = network.apply(grid, image, method="render", **options)
        light = jnp.ones_like(image)
    else:
        light, network = network.apply(grid, image, method="illumination", **options)
        result = upe.reflectance(image, light)
    return *_losses(image, light, result, batch, feature_model, **loss), network


def _losses(
    image, light, result, batch, feature_model=None, *,
    fidelity, smoothness, colour, recon, colour_form, content=0.0, layers=None,
):  # fmt: skip
    """Per-example weighted sum of the terms, and metrics.

    The first three keywords and `content` are weights. `recon`: "div" compares the quotient with
    the target (the graph), "mul" the input with target times illumination (the paper);
    `colour_form`: see
    `illumination.color_loss`.
    """
    target, valid = batch["target"], batch.get("valid")
    error = reconstruction.mse(result, target, valid=valid)
    fit = error if recon == "div" else reconstruction.mse(light * target, image, valid=valid)
    smooth_term = illumination.smoothness_loss(light, image, valid=valid)
    colour_term = illumination.color_loss(result, target, form=colour_form, valid=valid)
    terms = {
        "fidelity": fidelity * fit,
        "smoothness": smoothness * smooth_term,
        "colour": colour * colour_term,
    }
    shown = {"smoothness": smooth_term, "colour": colour_term}
    if content:
        distance = feature_network.content_loss(feature_model, layers=layers)
        shown["content"] = distance(result, target, valid=valid)
        terms["content"] = content * shown["content"]
        shown |= term_shares.term_shares(terms)
    return sum(terms.values()), shown | {"psnr": metrics_lib.psnr_from_mse(error)}

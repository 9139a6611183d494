"""CAN and learned perceptual enhancement: a network imitates an image operator under a NIMA critic.

The loss of a photo is the error against the operator's output, plus gamma times the difference
between the highest score that the critic (NIMA) can give and its score of the network's output.
The critic is frozen and sees the whole output; nothing is added to the network that is shipped.
With gamma = 0 this is the recipe of CAN. Any network that enhances images can be trained: a CAN,
an HDRNet, ...

Reference: Talebi and Milanfar 2018, "Learned perceptual image enhancement"; Chen, Xu and Koltun
2017, "Fast image processing with fully-convolutional networks".
"""

import functools

import jax
import jax.numpy as jnp

from bilateral_jax import metrics as metrics_lib
from bilateral_jax.checkpoints import networks
from bilateral_jax.data.pipeline import whole_photos
from bilateral_jax.losses import reconstruction
from bilateral_jax.models import inference_methods, nima
from experiments import experiment
from experiments.evaluation import protocol
from experiments.papers import hdrnet

CLIPS = ("plain", "straight_through")
ERRORS = {"l1": reconstruction.l1, "mse": reconstruction.mse}


def build(*, model, loss, critic, **training):
    """Builds the experiment from the sections of a config.

    Args:
      model: options of `hdrnet.create`.
      loss: `gamma`, and options of `_losses`.
      critic: folder of a run or an imported model of NIMA. None is allowed
        with gamma = 0 only; then a critic is used in the evaluation alone.
      **training: the steps and the other sections, see `hdrnet.assemble`.

    Returns:
      An `Experiment`.

    Raises:
      ValueError: an unknown error or clip, a negative gamma, one without a critic, a critic that is
        no NIMA, or a network that needs more than a photo.
      TypeError: a section holds a key that nothing takes; the message names it.
      FileNotFoundError: there is no critic in the folder.
    """
    module = _module(**model)
    critic = None if critic is None else read_critic(critic)
    gamma, terms = _check_loss(critic, **loss)
    paper = hdrnet.assemble(module, functools.partial(_terms, **terms), **training)
    further = None if critic is None else functools.partial(_critic_scores, critic)
    return paper._replace(
        evaluate=experiment.image_evaluation(paper.enhance, further=further),
        batches=whole_photos.train_batches,
        # gamma is an array, so trainings that differ in it share one compiled program.
        frozen=(critic, jnp.float32(gamma)) if gamma else (),
        table=_table,
    )


def _terms(network, batch, critic=None, gamma=None, **terms):
    output, network = _forward(network, batch)
    return *_losses(critic, gamma, output, batch, **terms), network


def _losses(critic, gamma, output, batch, *, error, clip):
    """Per-example loss and metrics; without a critic, the error alone.

    The error is "mse" or "l1" of the output itself. The critic sees the output clipped to [0, 1]:
    by a "plain" clip, through which no gradient reaches a value outside, or by a
    "straight_through" one, which lets it pass.
    """
    pair, valid = (output, batch["target"]), batch.get("valid")
    shown = {"psnr": metrics_lib.psnr_from_mse(reconstruction.mse(*pair, valid=valid))}
    value = ERRORS[error](*pair, valid=valid)
    if critic is None:
        return value, shown
    if valid is not None:
        raise ValueError(
            "loss.gamma: the critic scores whole images, so batches.pad_to must be None"
        )
    clipped = jnp.clip(output, 0.0, 1.0)
    if clip == "straight_through":
        clipped = output + jax.lax.stop_gradient(clipped - output)
    score = nima.mean_score(critic, clipped)
    return value + gamma * (nima.SCORES - score), {**shown, "nima": score}


def _forward(network, batch):
    """Runs the network in training mode: (output, network with new statistics)."""
    if isinstance(inference_methods.declared(network.module), inference_methods.ByGrid):
        _, output, network = hdrnet.forward(network, batch)
        return output, network
    return network.apply(batch["input"], method="enhance"), network


def _critic_scores(critic, photo):
    """The critic's mean scores of output, input and target, rounded to 8 bits."""
    names = {"nima": "output", "input_nima": "input", "target_nima": "target"}
    return {name: float(_critic_score(critic, photo[member])) for name, member in names.items()}


@jax.jit
def _critic_score(critic, image):
    return nima.mean_score(critic, metrics_lib.round_to_8bit(image))


def _table(results, *, title):
    lines = [protocol.table(results, title=title)]
    if "nima" in results:
        names = {"input_nima": "untouched input", "nima": "enhanced", "target_nima": "target"}
        scores = [f"{words} {protocol.number(results[name], 3)}" for name, words in names.items()]
        lines.append(f"  mean score by the critic: {', '.join(scores)}")
    return "\n".join(lines)


def _module(**options):
    module = hdrnet.create(**options)
    try:
        conditions = inference_methods.declared(module).conditions
    except ValueError as error:
        raise ValueError(f"model.name: {error}") from None
    if conditions:
        raise ValueError(
            f"model.conditions: pairs bring no conditions, so it must be 0, got {conditions}"
        )
    return module


def read_critic(path):
    """Reads a critic.

    Args:
      path: folder of a run or an imported model.

    Returns:
      A `Model` of NIMA.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is another network.
    """
    critic = networks.load_model(path)
    kind = type(critic.module).__name__
    if not kind.startswith("NIMA"):
        raise ValueError(f"critic: {path} holds the weights of {kind}, expected those of a NIMA")
    return critic


def _check_loss(critic, *, error, gamma, clip):
    if error not in ERRORS:
        raise ValueError(f"loss.error must be one of {sorted(ERRORS)}, got {error!r}")
    if clip not in CLIPS:
        raise ValueError(f"loss.clip must be one of {CLIPS}, got {clip!r}")
    if not gamma >= 0:
        raise ValueError(f"loss.gamma must be at least 0, got {gamma}")
    if gamma and critic is None:
        raise ValueError(
            f"loss.gamma is {gamma}, so critic must be the folder of a NIMA; it is None"
        )
    return gamma, {"error": error, "clip": clip}

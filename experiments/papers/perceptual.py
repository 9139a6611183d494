"""CAN, and learned perceptual enhancement: a network imitates an operator and pleases a critic.

The loss of a photo is the error against what the operator made of it, plus gamma times what the
network's output lacks to the best score a critic of photos (NIMA) can give. The critic is frozen
and sees the whole output; nothing is added to the network that is shipped. With gamma = 0 this is
the recipe of CAN. The network may be any that enhances: a CAN, an HDRNet, ...

Receives config sections from experiments/train.py, whole photos from data/pipeline/whole_photos.py,
the critic's weights from experiments/runs/warm_start.py.
Hands an `Experiment` to experiments/train.py.

Reference: Talebi and Milanfar 2018, "Learned perceptual image enhancement"; Chen, Xu and Koltun
2017, "Fast image processing with fully-convolutional networks".
"""

import functools

import jax
import jax.numpy as jnp

from bilateral_jax import inference, metrics, models
from bilateral_jax.data.pipeline import whole_photos
from bilateral_jax.losses import reconstruction
from bilateral_jax.models import nima
from bilateral_jax.models.model import Model
from bilateral_jax.training import parallel, state, step
from experiments import experiment
from experiments.evaluation import protocol
from experiments.papers import hdrnet
from experiments.runs import warm_start

CLIPS = ("plain", "straight_through")
ERRORS = {"l1": reconstruction.l1, "mse": reconstruction.mse}


def build(*, steps, model, loss, critic, optimizer, schedule, average_decay, accumulate=1):
    """Builds the experiment from the sections of a config.

    Args:
      steps: length of the training, for the schedule.
      model: options of `hdrnet.create`.
      loss: `gamma`, and options of `_losses`.
      critic: folder of a run or an imported model of NIMA. None goes with gamma = 0 alone; a critic
        that has no part in the loss is still asked in the evaluation.
      optimizer: options of `hdrnet.make_optimizer`.
      schedule: options of `schedules.learning_rate` but for the peak and the steps.
      average_decay: of the moving average of the weights, see `step.gradient_step`.
      accumulate: micro-batches per step, see there.

    Returns:
      An `Experiment`.

    Raises:
      ValueError: an unknown error or clip, a negative gamma, one without a critic, a critic that is
        no NIMA, or a network that needs more than a photo.
      TypeError: a section holds a key that nothing takes; the message names it.
      FileNotFoundError: there is no critic in the folder.
    """
    module = _module(**model)
    judge = None if critic is None else read_critic(critic)
    gamma, terms = _loss(judge, **loss)
    shared = {"axis_name": parallel.AXIS} if hasattr(module, "axis_name") else {}
    in_training = module.clone(**shared)
    rule = hdrnet.make_optimizer(steps=steps, schedule=schedule, **optimizer)

    def init(key):
        init_key, train_key = jax.random.split(key)
        fresh = Model.init(module, init_key)
        return state.create(train_key, fresh.params, fresh.batch_stats, rule)

    def objective(pleasing, params, batch_stats, batch, key):
        del key  # nothing is drawn at random while training
        output, network = _forward(Model(params, batch_stats, in_training), batch)
        value, shown = _losses(*pleasing, output, batch["target"], **terms)
        mean = functools.partial(step.weighted_mean, weights=batch["weight"])
        return mean(value), (network.batch_stats, jax.tree.map(mean, shown))

    def update(current, batch, judge=None, gamma=None):
        return step.gradient_step(
            functools.partial(objective, (judge, gamma)), current, batch, rule,
            average_decay=average_decay, accumulate=accumulate,
        )  # fmt: skip

    def enhance(current, image):
        return inference.enhance(Model(current.average, current.batch_stats, module), image)

    further = None if judge is None else functools.partial(_opinions, judge)
    return experiment.Experiment(
        init=init,
        update=update,
        evaluate=experiment.enhancing(enhance, further=further),
        description=models.describe(module),
        batches=whole_photos.train_batches,
        enhance=enhance,
        # gamma is an array, so trainings that differ in it share one compiled program.
        frozen=(judge, jnp.float32(gamma)) if gamma else (),
        table=_table,
    )


def _losses(judge, gamma, output, target, *, error, clip):
    """The loss of every example, and what to show of it; without a judge, the error alone.

    The error is "mse" or "l1", of the output as it is; the critic sees it clipped to what a picture
    can show: by a "plain" clip, through which no gradient reaches a value outside, or by a
    "straight_through" one, which lets it pass.
    """
    squared = reconstruction.mse(output, target)
    shown = {"psnr": metrics.psnr_from_mse(squared)}
    value = ERRORS[error](output, target)
    if judge is None:
        return value, shown
    clipped = jnp.clip(output, 0.0, 1.0)
    if clip == "straight_through":
        clipped = output + jax.lax.stop_gradient(clipped - output)
    score = nima.mean_score(judge, clipped)
    return value + gamma * (nima.SCORES - score), {**shown, "nima": score}


def _forward(network, batch):
    """Runs the network in training mode: the picture, the network with new statistics."""
    if hasattr(network.module, "coefficients"):
        _, output, network = hdrnet.forward(network, batch)
        return output, network
    return network.apply(batch["input"], method="enhance"), network


def _opinions(judge, photo):
    """What the critic says of the files that a photo, its enhancement and its target would be."""
    names = {"nima": "output", "input_nima": "input", "target_nima": "target"}
    return {name: float(_opinion(judge, photo[member])) for name, member in names.items()}


@jax.jit
def _opinion(judge, picture):
    return nima.mean_score(judge, metrics.round_to_8bit(picture))


def _table(results, *, title):
    lines = [protocol.table(results, title=title)]
    if "nima" in results:
        names = {"input_nima": "untouched input", "nima": "enhanced", "target_nima": "target"}
        told = [f"{words} {protocol.number(results[name], 3)}" for name, words in names.items()]
        lines.append(f"  mean score by the critic: {', '.join(told)}")
    return "\n".join(lines)


def _module(**options):
    module = hdrnet.create(**options)
    if not hasattr(module, "enhance"):
        raise ValueError(f"model.name: {type(module).__name__} does not enhance photos")
    if getattr(module, "conditions", 0):
        raise ValueError(
            f"model.conditions: pairs bring no conditions, so it must be 0, got {module.conditions}"
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
    judge = warm_start.weights(path)
    kind = type(judge.module).__name__
    if not kind.startswith("NIMA"):
        raise ValueError(f"critic: {path} holds the weights of {kind}, expected those of a NIMA")
    return judge


def _loss(judge, *, error, gamma, clip):
    if error not in ERRORS:
        raise ValueError(f"loss.error must be one of {sorted(ERRORS)}, got {error!r}")
    if clip not in CLIPS:
        raise ValueError(f"loss.clip must be one of {CLIPS}, got {clip!r}")
    if not gamma >= 0:
        raise ValueError(f"loss.gamma must be at least 0, got {gamma}")
    if gamma and judge is None:
        raise ValueError(
            f"loss.gamma is {gamma}, so critic must be the folder of a NIMA; it is None"
        )
    return gamma, {"error": error, "clip": clip}

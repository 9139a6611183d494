"""DPED as an experiment: a generator and the critic it is trained against.

One update takes a batch of twice the paper's size, since the critic is trained on pairs that the
generator has not just been trained on: the even rows are for the generator's gradient step, the odd
rows for the critic's, each of them either enhanced or the camera's image by a fair coin. Rows are
assigned by their position, so the same pairs meet the same network on any number of devices.

Reference: Ignatov et al. 2017, "DSLR-quality photos on mobile devices with deep convolutional
networks", and the published code, which is followed where the two differ.
"""

import dataclasses
import functools
import logging

import jax
import jax.numpy as jnp

from bilateral_jax import color, inference, models
from bilateral_jax import metrics as metrics_lib
from bilateral_jax.losses import (
    adversarial,
    blurred,
    gradient_penalties,
    reconstruction,
    term_shares,
    variation,
)
from bilateral_jax.models.model import Model
from bilateral_jax.training import distributed, parallel, schedules, state, step
from experiments import experiment
from experiments.evaluation import patches
from experiments.runs import feature_network

_LOG = logging.getLogger(__name__)


def build(
    *, steps, model, critic, loss, optimizer, critic_optimizer, schedule, average_decay,
    accumulate=1,
):  # fmt: skip
    """Builds the experiment from the sections of a config.

    Args:
      steps: length of the training, for the schedule.
      model: fields of the generator, `models.dped.DPED`.
      critic: fields of `models.dped.DPEDCritic`.
      loss: options of `_Losses`.
      optimizer: name and options of the generator's, see `schedules.optimizer`.
      critic_optimizer: the critic's.
      schedule: options of `schedules.learning_rate` but for the peak and the steps; for both.
      average_decay: of the moving average of the generator's weights, see `step.gradient_step`.
      accumulate: micro-batches per step, see there.

    Returns:
      An `Experiment`.

    Raises:
      FileNotFoundError: there are no weights where `loss.features` says.
      ImportError: the package with the weights that `loss.features` names is not installed.
      TypeError: a section holds a key that nothing takes; the message names it.
      ValueError: a field or a value that nothing takes, or a network without features.
    """
    modules = {
        "generator": models.create("DPED", model),
        "critic": models.create("DPEDCritic", critic),
    }
    rules = {
        "generator": _optimizer(steps=steps, schedule=schedule, **optimizer),
        "critic": _optimizer(steps=steps, schedule=schedule, **critic_optimizer),
    }
    losses, frozen = _losses(**loss)
    build_networks = {
        name: functools.partial(Model, module=module) for name, module in modules.items()
    }

    def init(key):
        generator_key, critic_key, _, state_key = jax.random.split(key, 4)
        initial = {
            "generator": Model.init(modules["generator"], generator_key),
            "critic": Model.init(modules["critic"], critic_key),
        }
        groups = {}
        for name, network in initial.items():
            network = state.create_network(network.params, averaged=name == "generator")
            groups[name] = state.create_group({name: network}, rules[name])
        return state.create(state_key, groups)

    def update(current, batch, *frozen):
        experiment.check_images(batch)
        if "valid" in batch:
            raise ValueError(
                "DPED trains on crops: its critic and features take no batch with `valid`"
            )
        if len(batch["input"]) < 2:
            raise ValueError(
                "batch_size must give each device at least 2 examples, one for the generator and "
                f"one for the critic, got {len(batch['input'])}"
            )
        for_generator, for_critic = (
            {name: x[row::2] for name, x in batch.items()} for row in (0, 1)
        )
        current, metrics = step.gradient_step(
            _generator_loss(losses, for_generator, frozen), current, "generator", for_generator,
            rules["generator"], build=build_networks, average_decay=average_decay,
            accumulate=accumulate,
        )  # fmt: skip
        if losses.texture:
            for_critic["real"] = _coins(current, len(for_critic["input"]))
            current, critic_metrics = step.gradient_step(
                _critic_loss(losses, for_critic), current, "critic", for_critic,
                rules["critic"], build=build_networks, accumulate=accumulate,
            )  # fmt: skip
            metrics |= {f"critic_{name}": value for name, value in critic_metrics.items()}
        return step.finish_step(current), metrics

    def network(current):
        return Model(current.networks["generator"].average, {}, modules["generator"])

    def enhance(current, image):
        return inference.enhance(network(current), image)

    return experiment.Experiment(
        init=init,
        update=update,
        evaluate=functools.partial(patches.evaluate, network, size=modules["critic"].size),
        networks=modules,
        enhance=enhance,
        frozen=frozen,
        shipped="groups/generator/networks/generator/average",
        table=patches.table,
    )


@dataclasses.dataclass(frozen=True)
class _Losses:
    """The terms of both losses; a term of weight 0 is not computed.

    Attributes:
      content: weight of the distance of a feature network's features.
      color: weight of the distance of blurred images.
      texture: weight of the critic's term; at 0 no critic is trained.
      variation: weight of the differences between neighbouring pixels.
      mse: weight of the plain squared error; not in the original.
      form: "code" or "paper", of content, color and variation.
      blur: of color, see `blurred.blur_taps`.
      adversarial: form of texture and of the critic's loss, see `adversarial.FORMS`.
      texture_examples: the mean of texture over the batch counts as a sum over so many examples.
        None: over those there are (of all devices), as in the original; texture then weighs more
        in larger batches, and the balance of its batches of 50 needs 50 here in any other.
      gradient_penalty: weight of the zero-centred penalty (`gradient_penalties`) at the camera's
        images in the critic's loss; not in the original.
    """

    content: float
    color: float
    texture: float
    variation: float
    mse: float
    form: str
    blur: str | float
    adversarial: str
    texture_examples: float | None
    gradient_penalty: float
    layers: tuple[str, ...] | None = None

    def terms(self, output, target, score, frozen):
        """The generator's terms, per example: `{name: values [b]}`.

        `score` gives the critic's scores of images `[b, h, w, 3]`.
        """
        terms = {"mse": reconstruction.mse(output, target)}
        if self.content:
            content = feature_network.content_loss(frozen[0], layers=self.layers)
            terms["content"] = content(output, target, form=self.form)
        if self.color:
            terms["color"] = blurred.blurred_color(output, target, blur=self.blur, form=self.form)
        if self.texture:
            terms["texture"] = adversarial.generator_loss(score(output), form=self.adversarial)
        if self.variation:
            terms["variation"] = variation.total_variation(output, form=self.form)
        return terms

    def weighted(self, terms, examples):
        """The terms of weight above 0, times it; the mean of their sum is the loss."""
        count = examples if self.texture_examples is None else self.texture_examples
        weights = {name: getattr(self, name) for name in terms if getattr(self, name)}
        if self.texture:
            weights["texture"] = self.texture * count
        return {name: weight * terms[name] for name, weight in weights.items()}


def _generator_loss(losses, batch, frozen):
    """The generator's loss, as `step.gradient_step` takes it."""
    examples = parallel.total(batch["weight"].sum())

    def loss(networks, batch, key):
        del key  # nothing is drawn at random
        output = networks["generator"].apply(batch["input"])
        score = _score(networks["critic"])
        terms = losses.terms(output, batch["target"], score, frozen)
        mean = functools.partial(step.weighted_mean, weights=batch["weight"])
        weighted = losses.weighted(terms, examples)
        metrics = terms | {"psnr": metrics_lib.psnr_from_mse(terms["mse"])}
        metrics |= term_shares.term_shares(weighted)
        return mean(sum(weighted.values())), ({}, jax.tree.map(mean, metrics))

    return loss


def _critic_loss(losses, batch):
    """The critic's loss, as `step.gradient_step` takes it: the sum over its batch."""
    examples = parallel.total(batch["weight"].sum())

    def loss(networks, batch, key):
        del key  # the coins were drawn for the whole batch
        score, real = _score(networks["critic"]), batch["real"]
        coin = real.reshape(-1, 1, 1, 1)
        images = jnp.where(coin, batch["target"], networks["generator"].apply(batch["input"]))
        scores = score(images)
        value = adversarial.critic_loss(scores, real, form=losses.adversarial)
        if losses.gradient_penalty:
            penalty = gradient_penalties.penalty(score, batch["target"], form="zero_centred")
            value = value + losses.gradient_penalty * penalty
        mean = functools.partial(step.weighted_mean, weights=batch["weight"])
        metrics = {"accuracy": mean(adversarial.accuracy(scores, real, form=losses.adversarial))}
        return examples * mean(value), ({}, metrics)

    return loss


def _score(critic):
    """The critic's scores of images, of which it sees grey."""
    return lambda image: critic.apply(color.gray(image))


def _coins(current, count):
    """Which of this device's pairs show the critic the camera's image: bool `[count]`."""
    key = jax.random.fold_in(current.key, current.step)
    return parallel.per_example_draw(lambda size: jax.random.bernoulli(key, 0.5, (size,)), count)


def _losses(*, content, features=None, layers=None, vgg=None, **options):
    """Makes (the `_Losses`, the tuple of frozen networks that they need).

    `vgg` is what configs of earlier runs call `features`.
    """
    frozen, features = (), features or vgg
    if content and features is None:
        if distributed.is_first():
            _LOG.warning(
                "loss.features is not set: training goes on without the content term. "
                f'"{feature_network.INSTALLED}" takes the weights of an installed package; '
                "docs/dped.md says where those of VGG-19 come from. "
                "--config.loss.mse gives a plain squared error in its place."
            )
        content = 0.0
    elif content:
        frozen = (feature_network.read(features, layers=layers),)
    layers = None if layers is None else tuple(layers)
    return _Losses(content=content, layers=layers, **options), frozen


def _optimizer(*, steps, schedule, name, learning_rate, **options):
    rate = schedules.learning_rate(steps=steps, peak=learning_rate, **schedule)
    return schedules.optimizer(name, rate, **options)

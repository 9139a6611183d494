"""DPED as an experiment: a generator and the critic it is trained against.

One update takes a batch of twice the paper's size, since the critic is shown pairs that the
generator has not just been trained on: the even rows are the generator's step, then the odd rows
the critic's, each of them either enhanced or the camera's by a coin. Rows are told apart by their
place, so the same pairs meet the same network on any number of devices.

Receives config sections from experiments/train.py and batches from data/pipeline/batches.py.
Hands an experiment to experiments/train.py.

Reference: Ignatov et al. 2017, "DSLR-quality photos on mobile devices with deep convolutional
networks", and the published code, which is followed where the two differ.
"""

import dataclasses
import functools
import logging

import jax
import jax.numpy as jnp

from bilateral_jax import inference, metrics, models
from bilateral_jax.losses import adversarial, blurred, features, reconstruction, variation
from bilateral_jax.models import vgg as vgg_lib
from bilateral_jax.models.model import Model
from bilateral_jax.training import distributed, parallel, schedules, state, step
from experiments import experiment
from experiments.evaluation import patches
from experiments.runs import warm_start

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
      FileNotFoundError: there are no weights where `loss.vgg` says.
      TypeError: a section holds a key that nothing takes; the message names it.
      ValueError: a field or a value that nothing takes, or other weights than a VGG's.
    """
    module, judge = models.create("DPED", model), models.create("DPEDCritic", critic)
    rules = [
        _optimizer(steps=steps, schedule=schedule, **each) for each in (optimizer, critic_optimizer)
    ]
    losses, frozen = _losses(**loss)

    def init(key):
        keys = jax.random.split(key, 4)
        first, second = (Model.init(each, k).params for each, k in zip((module, judge), keys))
        return state.Adversaries(
            jnp.int32(0),
            state.create(keys[2], first, {}, rules[0]),
            state.create(keys[3], second, {}, rules[1], averaged=False),
        )

    def update(current, batch, *frozen):
        ours, theirs = ({name: x[row::2] for name, x in batch.items()} for row in (0, 1))
        critic = current.critic
        objective = _generators(losses, module, Model(critic.params, {}, judge), ours, frozen)
        generator, shown = step.gradient_step(
            objective, current.generator, ours, rules[0],
            average_decay=average_decay, accumulate=accumulate,
        )  # fmt: skip
        if losses.texture:
            theirs["real"] = _coins(current, len(theirs["input"]))
            objective = _critics(losses, judge, Model(generator.params, {}, module), theirs)
            critic, judged = step.gradient_step(
                objective, critic, theirs, rules[1], accumulate=accumulate
            )
            shown |= {f"critic_{name}": value for name, value in judged.items()}
        return state.Adversaries(current.step + 1, generator, critic), shown

    def network(current):
        return Model(current.generator.average, {}, module)

    def enhance(current, image):
        return inference.enhance(network(current), image)

    return experiment.Experiment(
        init=init,
        update=update,
        evaluate=functools.partial(patches.evaluate, network, size=judge.size),
        description=models.describe(module),
        enhance=enhance,
        frozen=frozen,
        shipped="generator/average",
        table=patches.table,
    )


@dataclasses.dataclass(frozen=True)
class _Losses:
    """The terms of both objectives; a term of weight 0 is not computed.

    Attributes:
      content: weight of the distance of VGG's features.
      color: weight of the distance of blurred pictures.
      texture: weight of what the critic says; at 0 no critic is trained.
      variation: weight of the differences between neighbouring pixels.
      mse: weight of the plain squared error, for training without a VGG; not in the original.
      form: "code" or "paper", of content, color and variation.
      blur: of color, see `blurred.blur_taps`.
      adversarial: form of texture and of the critic's loss, see `adversarial.FORMS`.
      texture_examples: the mean of texture over the batch counts as a sum over so many examples.
        None: over those there are (of all devices), as in the original; texture then weighs more
        in larger batches, and the balance of its batches of 50 needs 50 here in any other.
      gradient_penalty: weight of `adversarial.gradient_penalty` on the camera's pictures in the
        critic's loss; not in the original.
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

    def terms(self, output, target, critic, frozen):
        """Computes the generator's terms: `{name: values [b]}`."""
        terms = {"mse": reconstruction.mse(output, target)}
        if self.content:
            look = frozen[0].apply
            terms["content"] = features.content_loss(output, target, features=look, form=self.form)
        if self.color:
            terms["color"] = blurred.blurred_color(output, target, blur=self.blur, form=self.form)
        if self.texture:
            terms["texture"] = adversarial.generator_loss(
                critic.apply(output), form=self.adversarial
            )
        if self.variation:
            terms["variation"] = variation.total_variation(output, form=self.form)
        return terms

    def value(self, terms, examples):
        """Weighs the terms, so that the mean over the batch is the objective."""
        count = examples if self.texture_examples is None else self.texture_examples
        weights = {name: getattr(self, name) for name in terms}
        if self.texture:
            weights["texture"] = self.texture * count
        return sum(weights[name] * terms[name] for name in terms)


def _generators(losses, module, critic, batch, frozen):
    """The generator's objective, as `step.gradient_step` takes it."""
    examples = parallel.total(batch["weight"].sum())

    def objective(params, batch_stats, batch, key):
        del key
        output = Model(params, {}, module).apply(batch["input"])
        terms = losses.terms(output, batch["target"], critic, frozen)
        mean = functools.partial(step.weighted_mean, weights=batch["weight"])
        shown = terms | {"psnr": metrics.psnr_from_mse(terms["mse"])}
        return mean(losses.value(terms, examples)), (batch_stats, jax.tree.map(mean, shown))

    return objective


def _critics(losses, judge, generator, batch):
    """The critic's objective: the sum over its batch of how wrong it is."""
    examples = parallel.total(batch["weight"].sum())

    def objective(params, batch_stats, batch, key):
        del key
        critic, real = Model(params, {}, judge), batch["real"]
        coin = real.reshape(-1, 1, 1, 1)
        seen = jnp.where(coin, batch["target"], generator.apply(batch["input"]))
        logits = critic.apply(seen)
        value = adversarial.critic_loss(logits, real, form=losses.adversarial)
        if losses.gradient_penalty:
            steep = adversarial.gradient_penalty(critic.apply, batch["target"])
            value = value + losses.gradient_penalty * steep
        right = (logits[:, 0] > logits[:, 1]) == real
        mean = functools.partial(step.weighted_mean, weights=batch["weight"])
        shown = {"accuracy": mean(right.astype(jnp.float32))}
        return examples * mean(value), (batch_stats, shown)

    return objective


def _coins(current, count):
    """Which of this device's pairs show the critic the camera's picture: bool `[count]`."""
    key = jax.random.fold_in(current.critic.key, current.step)
    return parallel.share(lambda size: jax.random.bernoulli(key, 0.5, (size,)), count)


def _losses(*, vgg, content, **options):
    """The terms, and the tuple of frozen networks that they need."""
    frozen = ()
    if content and vgg is None:
        if distributed.is_first():
            _LOG.warning(
                "loss.vgg is not set: training goes on without the content term. Its weights are "
                "not part of this project; docs/dped.md says where they come from. "
                "--config.loss.mse gives a plain squared error in its place."
            )
        content = 0.0
    elif content:
        network = warm_start.weights(vgg)
        if not isinstance(network.module, vgg_lib.VGG):
            kind = type(network.module).__name__
            raise ValueError(f"loss.vgg: {vgg} holds a {kind}, expected a VGG (import vgg)")
        frozen = (network,)
    return _Losses(content=content, **options), frozen


def _optimizer(*, steps, schedule, name, learning_rate, **options):
    rate = schedules.learning_rate(steps=steps, peak=learning_rate, **schedule)
    return schedules.optimizer(name, rate, **options)

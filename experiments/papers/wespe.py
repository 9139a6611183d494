"""WESPE as an experiment: an enhancer trained without pairs, its inverse and two critics.

G enhances photos x of one camera; F leads back. Content is compared between x and F(G(x)), so that
no target of x is needed. One critic compares the colours of G(x), blurred, with those of good
photos y, the other its texture, in grey. One update trains the critics on the present G(x), then G
and F on the same x.

Not of the paper, and off unless a config sets them: G as a residual, a distance of G(x) to x that
fades, one of their chroma, one of G(y) to y, the cycle from y to G(F(y)), a squared error of either
cycle, several steps of the critics for one of the generators, and a watch over the PSNR of G(x) to
x.

Reference: Ignatov, Kobyshev, Timofte, Vanhoey and Van Gool 2018, "WESPE: Weakly supervised photo
enhancer for digital cameras"; no code was published.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from bilateral_jax import color, inference, models
from bilateral_jax import metrics as metrics_lib
from bilateral_jax.losses import (
    adversarial,
    blurred,
    chroma_correlation,
    gradient_penalties,
    reconstruction,
    term_shares,
    variation,
)
from bilateral_jax.models.model import Model
from bilateral_jax.training import parallel, step
from bilateral_jax.training import watchdog as watchdog_lib
from experiments import experiment
from experiments.evaluation import patches
from experiments.papers import hdrnet
from experiments.runs import feature_network, generators_and_critics

CRITICS = ("color_critic", "texture_critic")


def build(
    *, steps, model, inverse, critic, loss, optimizer, critic_optimizer, schedule, average_decay,
    watchdog, n_critic=1, accumulate=1,
):  # fmt: skip
    """Builds the experiment from the sections of a config.

    Args:
      steps: length of the training, for the schedule.
      model: fields of G, `models.dped.DPED`.
      inverse: fields of F, of the same class.
      critic: fields of both critics, see `generators_and_critics.dped_critics`.
      loss: options of `_Losses`, and `features`: the network whose features `content` compares,
        see `feature_network.read`.
      optimizer: name and options of the optimiser of G and F, see `schedules.optimizer`.
      critic_optimizer: that of both critics.
      schedule: options of `schedules.learning_rate` but for the peak and the steps; for both, each
        over its own updates.
      average_decay: of the moving average of G and F, see `step.gradient_step`.
      watchdog: options of `training.watchdog.Watchdog`.
      n_critic: steps of the critics for one of G and F.
      accumulate: micro-batches per step, see `step.gradient_step`.

    Returns:
      An `Experiment`.

    Raises:
      FileNotFoundError: there are no weights where `loss.features` says.
      ImportError: the package with the weights that `loss.features` names is not installed.
      TypeError: a section holds a key that nothing takes; the message names it.
      ValueError: a field or a value that nothing takes, a network without features, or no term
        that ties F(G(x)) to x.
    """
    updates = generators_and_critics.count_updates(steps, n_critic=n_critic)
    modules = _modules(model, inverse, critic, crop=loss["crop_blur"])
    networks = modules["generators"] | modules["critics"]
    enhancer = networks["G"]
    rules = {
        group: hdrnet.make_optimizer(steps=updates[group], schedule=schedule, **options)
        for group, options in (("generators", optimizer), ("critics", critic_optimizer))
    }
    losses, frozen = _losses(**loss)
    watch = watchdog_lib.Watchdog(**watchdog)
    take = functools.partial(
        step.gradient_step,
        build={name: functools.partial(Model, module=each) for name, each in networks.items()},
        accumulate=accumulate,
    )

    def init(key):
        return generators_and_critics.init(key, modules, rules, extra={"watchdog": watch.start()})

    def update(current, batch, *frozen):
        experiment.check_images(batch)
        if "valid" in batch or "target_valid" in batch:
            raise ValueError("WESPE trains on crops: its critics take no batch with `valid`")
        before = Model(current.networks["G"].params, {}, enhancer).apply(batch["input"])
        shown, metrics = batch | {"generated": before}, {}
        if losses.critics:
            current, metrics = take(losses.of_critics, current, "critics", shown, rules["critics"])

        def generators(current):
            return take(
                losses.of_generators(batch, current, frozen), current, "generators", batch,
                rules["generators"], average_decay=average_decay,
            )  # fmt: skip

        current, own = generators_and_critics.every_nth(n_critic, current, generators)
        psnr = metrics_lib.psnr_from_mse(reconstruction.mse(before, batch["input"]))
        psnr = parallel.mean(step.weighted_mean(psnr, batch["weight"]))
        current, watched = watch.update(current, psnr, init=init)
        metrics = {f"critic_{name}": value for name, value in metrics.items()}
        return step.finish_step(current), metrics | own | watched | {"input_psnr": psnr}

    def network(current):
        return Model(current.networks["G"].average, {}, enhancer)

    def enhance(current, image):
        return inference.enhance(network(current), image)

    return experiment.Experiment(
        init=init,
        update=update,
        evaluate=functools.partial(patches.evaluate, network, size=networks["texture_critic"].size),
        networks=networks,
        enhance=enhance,
        frozen=frozen,
        shipped="groups/generators/networks/G/average",
        table=patches.table,
        shown=("loss", "input_psnr", "critic_loss"),
        check=watch.check("input_psnr"),
        draws_anew=watch.patience > 0 and watch.restarts > 0,
    )


@dataclasses.dataclass(frozen=True)
class _Losses:
    """The terms of both losses; a term of weight 0 is not computed.

    Attributes:
      content: weight of the distance of x and F(G(x)) in the features of a network.
      color: weight of the term of the critic of blurred colours.
      texture: weight of the term of the critic of grey images.
      variation: weight of the total variation of G(x).
      cycle_mse: weight of the mean squared error of x and F(G(x)).
      second_cycle: the weights of content and cycle_mse between y and G(F(y)), relative to those
        of the first cycle.
      identity: weight of the mean squared error of y and G(y).
      input_mse: weight of the mean squared error of x and G(x) at the first update.
      input_mse_updates: updates of the generators in which that weight falls to 0, linearly; 0: it
        stays.
      chroma: weight of `chroma_correlation` of x and G(x).
      chroma_shrink: factor by which both are reduced for that.
      form: "code" or "paper", of content and variation, see `features.content_loss`.
      blur: what the critic of colours sees, see `blurred.blur_taps`.
      crop_blur: leave out the border of the blurred images, which depends on what lies beyond.
      adversarial: form of color, texture and the critics' loss, see `adversarial.FORMS`.
      adversarial_reduce: "mean", or "sum" of color and texture over the batch of all devices.
      gradient_penalty: weight of the zero-centred penalty (`gradient_penalties`) in the loss of
        each critic, at what it sees of y.
      layers: names of the layers of content; None for those of the network.
    """

    content: float
    color: float
    texture: float
    variation: float
    cycle_mse: float
    second_cycle: float
    identity: float
    input_mse: float
    input_mse_updates: int
    chroma: float
    chroma_shrink: int
    form: str
    blur: str | float
    crop_blur: bool
    adversarial: str
    adversarial_reduce: str
    gradient_penalty: float
    layers: tuple[str, ...] | None = None

    def __post_init__(self):
        generators_and_critics.check_loss(self, form="adversarial")
        if self.adversarial_reduce not in ("mean", "sum"):
            raise ValueError(
                f'adversarial_reduce must be "mean" or "sum", got {self.adversarial_reduce!r}'
            )

    @property
    def critics(self):
        """The critics that are trained: those whose terms count."""
        return tuple(name for name in CRITICS if getattr(self, name.removesuffix("_critic")))

    def seen(self, critic, image):
        """What a critic sees of an image `[b, h, w, 3]`."""
        if critic == "texture_critic":
            return color.gray(image)
        return blurred.blur_image(image, blur=self.blur, crop=self.crop_blur)

    def fading(self, updates):
        """The part of `input_mse` that is left after so many updates of the generators."""
        if not self.input_mse_updates:
            return jnp.float32(1)
        return jnp.maximum(0.0, 1.0 - updates / self.input_mse_updates)

    def of_critics(self, networks, batch, key):
        """The sum of the critics' losses, as `step.gradient_step` takes it."""
        del key  # nothing is drawn at random
        mean = functools.partial(step.weighted_mean, weights=batch["weight"])
        total, metrics = 0.0, {}
        for name in self.critics:
            critic, real = networks[name].apply, self.seen(name, batch["target"])
            scores = critic(real), critic(self.seen(name, batch["generated"]))
            loss = functools.partial(adversarial.critic_loss, form=self.adversarial)
            total += loss(scores[0], True) + loss(scores[1], False)
            if self.gradient_penalty:
                penalty = gradient_penalties.penalty(critic, real, form="zero_centred")
                total += self.gradient_penalty * penalty
            right = functools.partial(adversarial.accuracy, form=self.adversarial)
            accuracy = (right(scores[0], True) + right(scores[1], False)) / 2
            metrics[f"{name.removesuffix('_critic')}_accuracy"] = mean(accuracy)
        return mean(total), ({}, metrics)

    def of_generators(self, batch, current, frozen):
        """The loss of G and F, as `step.gradient_step` takes it."""
        examples = parallel.total(batch["weight"].sum())
        fading = self.fading(current.groups["generators"].updates)

        def loss(networks, batch, key):
            del key  # nothing is drawn at random
            weighted = self._weighted(networks, batch, frozen, fading, examples)
            mean = functools.partial(step.weighted_mean, weights=batch["weight"])
            metrics = {f"weighted_{name}": value for name, value in weighted.items()}
            metrics |= term_shares.term_shares(weighted)
            return mean(sum(weighted.values())), ({}, jax.tree.map(mean, metrics))

        return loss

    def _weighted(self, networks, batch, frozen, fading, examples):
        """The terms times their weights, per example: `{name: values [b]}`."""
        enhance, back = (networks[name].apply for name in ("G", "F"))
        x, y = batch["input"], batch["target"]
        output = enhance(x)
        weighted = self._cycle(x, back(output), frozen)
        if self.second_cycle:
            for name, value in self._cycle(y, enhance(back(y)), frozen).items():
                weighted[f"second_{name}"] = self.second_cycle * value
        count = examples if self.adversarial_reduce == "sum" else 1.0
        for name in self.critics:
            scores = networks[name].apply(self.seen(name, output))
            term, value = name.removesuffix("_critic"), adversarial.generator_loss
            weighted[term] = getattr(self, term) * count * value(scores, form=self.adversarial)
        if self.variation:
            values = variation.total_variation(output, form=self.form)
            weighted["variation"] = self.variation * values
        if self.input_mse:
            weighted["input_mse"] = fading * self.input_mse * reconstruction.mse(output, x)
        if self.chroma:
            values = chroma_correlation.chroma_correlation(output, x, shrink=self.chroma_shrink)
            weighted["chroma"] = self.chroma * values
        if self.identity:
            weighted["identity"] = self.identity * reconstruction.mse(enhance(y), y)
        return weighted

    def _cycle(self, image, returned, frozen):
        """The weighted terms between an image and what came back of it."""
        terms = {}
        if self.content:
            distance = feature_network.content_loss(frozen[0], layers=self.layers)
            terms["content"] = self.content * distance(returned, image, form=self.form)
        if self.cycle_mse:
            terms["cycle_mse"] = self.cycle_mse * reconstruction.mse(returned, image)
        return terms


def _losses(*, features=None, layers=None, **options):
    """Makes (the `_Losses`, the tuple of frozen networks that they need)."""
    losses = _Losses(layers=None if layers is None else tuple(layers), **options)
    if not losses.content and not losses.cycle_mse:
        raise ValueError(
            "nothing ties F(G(x)) to x: loss.content or loss.cycle_mse must be above 0"
        )
    if not losses.content:
        return losses, ()
    if features is None:
        raise ValueError(
            "loss.features is None, and loss.content needs a network (docs/wespe.md); "
            "loss.content=0 with a loss.cycle_mse above 0 compares pixels"
        )
    return losses, (feature_network.read(features, layers=layers),)


def _modules(model, inverse, critic, *, crop):
    """Makes the four networks by group."""
    critics = generators_and_critics.dped_critics(critic, crop=crop)
    return {
        "generators": {"G": models.create("DPED", model), "F": models.create("DPED", inverse)},
        "critics": {f"{name}_critic": module for name, module in critics.items()},
    }

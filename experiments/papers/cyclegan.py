"""CycleGAN as an experiment: two generators, two critics, no pairs.

G leads from photos x to photos y of another look, F back; the critic DY compares G(x) with y, DX
compares F(y) with x. One update trains the generators, then the critics on what the generators made
before that, exchanged with images of earlier steps.

The networks of the paper work on values in [-1, 1], and so do the critics and all distances here;
the generators take and give images in [0, 1].

Not of the paper, and off unless a config sets them: generators that add to the image, a term of
their outputs' chroma, a penalty of the critics' gradients.

Reference: Zhu, Park, Isola and Efros 2017, "Unpaired image-to-image translation using
cycle-consistent adversarial networks"; the published code where the two differ: the critics' loss
is halved, and the generators are updated first.
"""

import dataclasses
import functools

import jax

from bilateral_jax import inference, models
from bilateral_jax.losses import (
    adversarial,
    chroma_correlation,
    gradient_penalties,
    reconstruction,
)
from bilateral_jax.models.model import Model
from bilateral_jax.training import image_pool, step
from experiments import experiment
from experiments.papers import hdrnet
from experiments.runs import generators_and_critics


def build(
    *, steps, model, critic, pool, loss, optimizer, critic_optimizer, schedule, average_decay,
    accumulate=1,
):  # fmt: skip
    """Builds the experiment from the sections of a config.

    Args:
      steps: length of the training, for the schedule.
      model: fields of both generators, `models.cyclegan.ResNetGenerator`.
      critic: fields of both critics, `models.patch_critic.PatchCritic`.
      pool: options of `_Pools`.
      loss: weights of the terms, see `_Losses`.
      optimizer: name and options of the generators', see `schedules.optimizer`.
      critic_optimizer: the critics'.
      schedule: options of `schedules.learning_rate` but for the peak and the steps; for both.
      average_decay: of the moving average of the generators' weights, see `step.gradient_step`.
      accumulate: micro-batches per step, see there.

    Returns:
      An `Experiment`.

    Raises:
      TypeError: a section holds a key that nothing takes; the message names it.
      ValueError: a field or a value that nothing takes.
    """
    generator, critic = (
        models.create("ResNetGenerator", model),
        models.create("PatchCritic", critic),
    )
    modules = {
        "generators": {"G": generator, "F": generator},
        "critics": {"DY": critic, "DX": critic},
    }
    networks = modules["generators"] | modules["critics"]
    rules = {
        group: hdrnet.make_optimizer(steps=steps, schedule=schedule, **options)
        for group, options in (("generators", optimizer), ("critics", critic_optimizer))
    }
    losses, pools = _Losses(**loss), _Pools(**pool)
    take = functools.partial(
        step.gradient_step,
        build={name: functools.partial(Model, module=each) for name, each in networks.items()},
        accumulate=accumulate,
    )

    def update(current, batch):
        experiment.check_images(batch)
        pools.check(batch)
        generated = {
            name: Model(current.networks[maker].params, {}, generator).apply(batch[source])
            for name, maker, source in (("DY", "G", "input"), ("DX", "F", "target"))
        }
        current, metrics = take(
            losses.of_generators, current, "generators", batch, rules["generators"],
            average_decay=average_decay,
        )  # fmt: skip
        current, earlier = pools.exchange(current, generated)
        shown = batch | {f"generated_{name}": images for name, images in earlier.items()}
        current, critic_metrics = take(
            losses.of_critics, current, "critics", shown, rules["critics"]
        )
        metrics |= {f"critic_{name}": value for name, value in critic_metrics.items()}
        return step.finish_step(current), metrics

    def enhance(current, image):
        return inference.enhance(Model(current.networks["G"].average, {}, generator), image)

    return experiment.Experiment(
        init=lambda key: generators_and_critics.init(key, modules, rules, extra=pools.start()),
        update=update,
        evaluate=experiment.image_evaluation(enhance),
        networks=networks,
        enhance=enhance,
        shipped="groups/generators/networks/G/average",
        shown=("loss", "critic_loss"),
    )


@dataclasses.dataclass(frozen=True)
class _Losses:
    """Both losses; a term of weight 0 is not computed, except `adversarial`.

    Attributes:
      cycle: weight of the absolute difference of a photo and what both generators one after the
        other make of it.
      identity: weight of the absolute difference of y and G(y), and of x and F(x).
      adversarial: weight of the generators' loss by the critics' scores.
      form: one of `adversarial.FORMS`, of both losses.
      chroma: weight of `chroma_correlation` of each generator's output and its own input.
      chroma_shrink: factor by which both are reduced for that.
      gradient_penalty: weight of the zero-centred penalty (`gradient_penalties`) in the loss of
        each critic, at real images.
    """

    cycle: float
    identity: float
    adversarial: float
    form: str
    chroma: float
    chroma_shrink: int
    gradient_penalty: float

    def __post_init__(self):
        generators_and_critics.check_loss(self)

    def of_generators(self, networks, batch, key):
        """The generators' loss, as `step.gradient_step` takes it."""
        del key  # nothing is drawn at random
        g, f, dy, dx = (networks[name].apply for name in ("G", "F", "DY", "DX"))
        x, y = batch["input"], batch["target"]
        generated, backward = g(x), f(y)
        score = functools.partial(adversarial.generator_loss, form=self.form)
        terms = {"adversarial": score(dy(_centred(generated))) + score(dx(_centred(backward)))}
        if self.cycle:
            terms["cycle"] = _distance(f(generated), x) + _distance(g(backward), y)
        if self.identity:
            terms["identity"] = _distance(g(y), y) + _distance(f(x), x)
        if self.chroma:
            kept = functools.partial(
                chroma_correlation.chroma_correlation, shrink=self.chroma_shrink
            )
            terms["chroma"] = kept(generated, x) + kept(backward, y)
        value = sum(getattr(self, name) * term for name, term in terms.items())
        mean = functools.partial(step.weighted_mean, weights=batch["weight"])
        return mean(value), ({}, jax.tree.map(mean, terms))

    def of_critics(self, networks, batch, key):
        """Half the critics' losses, and their penalties, as `step.gradient_step` takes it."""
        del key  # nothing is drawn at random
        mean = functools.partial(step.weighted_mean, weights=batch["weight"])
        loss = functools.partial(adversarial.critic_loss, form=self.form)
        value, metrics = 0.0, {}
        for name, real in (("DY", batch["target"]), ("DX", batch["input"])):
            critic, real = networks[name].apply, _centred(real)
            scores = critic(real), critic(_centred(batch[f"generated_{name}"]))
            value += 0.5 * (loss(scores[0], True) + loss(scores[1], False))
            if self.gradient_penalty:
                penalty = gradient_penalties.penalty(critic, real, form="zero_centred")
                value += self.gradient_penalty * penalty
                metrics[f"penalty_{name}"] = mean(penalty)
            of_real, of_generated = map(adversarial.example_scores, scores)
            metrics[f"distance_{name}"] = mean(of_real - of_generated)
        return mean(value), ({}, metrics)


@dataclasses.dataclass(frozen=True)
class _Pools:
    """The generators' images of earlier steps, one pool for each critic.

    Attributes:
      size: images in a pool; 0: the critics see those of this step.
      crop: side of the images, or (height, width), as that of the batches.

    Raises:
      ValueError: the size is no int of at least 0, or the crop no positive int or two of them.
    """

    size: int
    crop: int | tuple[int, int]

    def __post_init__(self):
        if type(self.size) is not int or self.size < 0:
            raise ValueError(f"pool.size must be an int of at least 0, got {self.size!r}")
        sides = self.crop if isinstance(self.crop, tuple | list) else (self.crop,) * 2
        if len(sides) != 2 or any(type(side) is not int or side < 1 for side in sides):
            raise ValueError(
                f"pool.crop must be a positive int or (height, width), got {self.crop!r}"
            )

    def start(self):
        """Makes the empty pools, for `TrainState.extra`."""
        if not self.size:
            return {}
        shape = (*self._sides, 3)
        return {"pools": {name: image_pool.create(self.size, shape) for name in ("DY", "DX")}}

    @property
    def _sides(self):
        return (self.crop,) * 2 if isinstance(self.crop, int) else tuple(self.crop)

    def check(self, batch):
        """Refuses batches whose images do not fit into the pools."""
        if "valid" in batch or "target_valid" in batch:
            raise ValueError("CycleGAN trains on crops: it takes no batch with `valid`")
        for name in ("input", "target"):
            sides = tuple(batch[name].shape[1:3])
            if self.size and sides != self._sides:
                raise ValueError(
                    f"pool.crop must be that of the batches: {name} has {sides[0]} x {sides[1]} "
                    f"pixels, got pool.crop {self.crop}"
                )

    def exchange(self, current, generated):
        """Exchanges images with the pools: (state, `{critic: images}` to show the critics)."""
        if not self.size:
            return current, generated
        key = jax.random.fold_in(current.key, current.step)
        pools, shown = {}, {}
        for number, (name, images) in enumerate(generated.items()):
            own = jax.random.fold_in(key, number)
            pool = current.extra["pools"][name]
            pools[name], shown[name] = image_pool.exchange(own, pool, images)
        return current.replace(extra={"pools": pools}), shown


def _centred(image):
    """From [0, 1] to [-1, 1]."""
    return 2 * image - 1


def _distance(image, other):
    """Mean absolute difference of the values in [-1, 1], `[b]`."""
    return 2 * reconstruction.l1(image, other)

"""HDRNet trained without pairs: against critics of the rendered photo.

Modes:
  one_way: the generator G enhances photos x; critics compare G(x) with photos y of the wanted look,
    and G(x) must stay close to x ("identity").
  two_way: with a second HDRNet F from y back, critics of F(y), and the distance between a photo and
    what both generators one after the other make of it ("cycle").

The critics are a PatchGAN that sees the photo, or DPED's two critics, of which one sees blurred
colours and the other grey. The generators are the networks of `experiments/papers/hdrnet.py`, so
that a photo of any size is enhanced by a grid. The losses, the adaptive gradient penalty and the
order of the updates, critics first, are those of Deep Photo Enhancer, with a bilateral grid in
place of its network; nothing of this combination was published. Unlike there, the critics, too,
see images that generators with batch norm render by the statistics of the batch.

References: Gharbi et al. 2017, "Deep bilateral learning for real-time image enhancement"; Chen,
Wang, Kao and Chuang 2018, "Deep Photo Enhancer: unpaired learning for image enhancement from
photographs with GANs"; Ignatov et al. 2017, "DSLR-quality photos on mobile devices with deep
convolutional networks", for the critics of colours and texture.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from bilateral_jax import color, inference, models, resize
from bilateral_jax import metrics as metrics_lib
from bilateral_jax.losses import adversarial, blurred, chroma_correlation, reconstruction
from bilateral_jax.models.model import Model
from bilateral_jax.training import step
from experiments import experiment
from experiments.papers import hdrnet
from experiments.runs import generators_and_critics

MODES = ("one_way", "two_way")
CRITICS = ("PatchCritic", "DPEDCritic")


def build(
    *, mode, steps, model, critic, loss, penalty, optimizer, critic_optimizer, schedule, n_critic,
    average_decay, accumulate=1,
):  # fmt: skip
    """Builds the experiment from the sections of a config.

    Args:
      mode: one of `MODES`.
      steps: length of the training, for the schedule.
      model: options of `hdrnet.create`, for both generators.
      critic: `name`, one of `CRITICS`, and the fields of the critics.
      loss: weights of the terms, see `_Losses`.
      penalty: fields of `generators_and_critics.CriticPenalty`.
      optimizer: name and options of the generators', see `hdrnet.make_optimizer`.
      critic_optimizer: the critics'.
      schedule: options of `schedules.learning_rate` but for the peak and the steps; for both, each
        over its own updates.
      n_critic: steps of the critics for one of the generators.
      average_decay: of the moving average of the generators' weights, see `step.gradient_step`.
      accumulate: micro-batches per step, see there.

    Returns:
      An `Experiment`.

    Raises:
      TypeError: a section holds a key that nothing takes; the message names it.
      ValueError: a field or a value that nothing takes.
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {MODES}, got {mode!r}")
    updates = generators_and_critics.count_updates(steps, n_critic=n_critic)
    generator = hdrnet.create(**model)
    names = {"one_way": {"G": "DY"}, "two_way": {"G": "DY", "F": "DX"}}[mode]
    modules = {
        "generators": dict.fromkeys(names, generator),
        "critics": _critics(names.values(), **critic),
    }
    networks = modules["generators"] | modules["critics"]
    rules = {
        group: hdrnet.make_optimizer(steps=updates[group], schedule=schedule, **options)
        for group, options in (("generators", optimizer), ("critics", critic_optimizer))
    }
    penalty = generators_and_critics.CriticPenalty(**penalty)
    losses = _Losses(**loss, critics=tuple(modules["critics"]), penalty=penalty)
    step_of = generators_and_critics.penalised_update(
        losses, networks, rules,
        n_critic=n_critic, average_decay=average_decay, accumulate=accumulate,
    )  # fmt: skip

    def update(current, batch):
        _check(batch, mode)
        return step_of(current, batch)

    def enhance(current, image):
        network = current.networks["G"]
        return inference.enhance(Model(network.average, network.batch_stats, generator), image)

    return experiment.Experiment(
        init=lambda key: generators_and_critics.init(
            key, modules, rules, extra={"penalties": penalty.start(losses.critics)}
        ),
        update=update,
        evaluate=experiment.image_evaluation(enhance),
        networks=networks,
        batches=hdrnet.crops_for(generator),
        enhance=enhance,
        shipped="groups/generators/networks/G/average",
        shown=("loss", "critic_loss", "input_psnr"),
    )


def _critics(names, *, name, **fields):
    """Makes the critics, `{name: module}`: one for each of the names, or one of each view of it."""
    if name not in CRITICS:
        raise ValueError(f"critic.name must be one of {CRITICS}, got {name!r}")
    if name == "PatchCritic":
        return {each: models.create(name, fields) for each in names}
    views = generators_and_critics.dped_critics({"logits": 1, **fields}, crop=True)
    return {f"{each}_{view}": module for each in names for view, module in views.items()}


def _check(batch, mode):
    experiment.check_images(batch)
    if "valid" in batch or "target_valid" in batch:
        raise ValueError("unpaired HDRNet trains on crops: it takes no batch with `valid`")
    if mode == "two_way" and "lowres" in batch:
        raise ValueError(
            "batches.lowres_from must be 'crop' in mode 'two_way', since F needs a low-res input "
            "of the targets, which batches with `lowres` do not have"
        )


@dataclasses.dataclass(frozen=True)
class _Losses:
    """Both losses.

    Attributes:
      identity: weight of the squared distance of each generator's output from its own input.
      cycle: weight of the squared distance of a photo from what both generators one after the other
        make of it; used in two-way training only.
      adversarial: weight of the generators' loss by the critics' scores, the sum over the critics.
      form: one of `adversarial.FORMS`, of both losses.
      blur: what the critics of colours see, see `blurred.blur_taps`.
      critic_shrink: factor by which images are reduced before a critic sees them. What is left are
        light and colours, which a grid can change, without the noise, which it cannot.
      chroma: weight of `chroma_correlation` of each generator's output and its own input.
      chroma_shrink: factor of that.
      critics: names of the critics.
      penalty: of their gradients.
    """

    identity: float
    cycle: float
    adversarial: float
    form: str
    blur: str | float
    critic_shrink: int
    chroma: float
    chroma_shrink: int
    critics: tuple[str, ...]
    penalty: generators_and_critics.CriticPenalty

    def __post_init__(self):
        generators_and_critics.check_loss(self)

    def seen(self, critic, image):
        """What a critic sees of images `[b, h, w, 3]`."""
        image = resize.shrink(image, self.critic_shrink)
        if critic.endswith("_color"):
            return blurred.blur_image(image, blur=self.blur, crop=True)
        return color.gray(image) if critic.endswith("_texture") else image

    def of_critics(self, weights, networks, batch, key):
        """The critics' loss, as `step.gradient_step` takes it, given the penalties' weights."""
        del key  # the fractions were drawn for the whole batch
        mean = functools.partial(step.weighted_mean, weights=batch["weight"])
        loss = functools.partial(adversarial.critic_loss, form=self.form)
        generated = {"DY": _render(networks["G"], batch, "input")[0]}
        if "F" in networks:
            generated["DX"] = _render(networks["F"], batch, "target")[0]
        value, metrics = 0.0, {}
        for i, name in enumerate(self.critics):
            real = batch["target" if name.startswith("DY") else "input"]
            real, made = (self.seen(name, image) for image in (real, generated[name[:2]]))
            critic = networks[name].apply
            scores = critic(real), critic(made)
            value += loss(scores[0], True) + loss(scores[1], False)
            of_real, of_generated = map(adversarial.example_scores, scores)
            metrics[f"distance_{name}"] = mean(of_real - of_generated)
            if weights:
                excess = self.penalty.at(critic, real, made, batch["fraction"][:, i])
                value += weights[name] * excess
                metrics[f"penalty_{name}"] = mean(excess)
        return mean(value), ({}, metrics)

    def of_generators(self, networks, batch, key):
        """The generators' loss, as `step.gradient_step` takes it."""
        del key  # nothing is drawn at random
        x, y = batch["input"], batch["target"]
        generated, g = _render(networks["G"], batch, "input")
        outputs, changed = {"DY": generated}, {"G": g}
        identity = reconstruction.mse(generated, x)
        terms = {"identity": identity}
        chroma = functools.partial(chroma_correlation.chroma_correlation, shrink=self.chroma_shrink)
        if self.chroma:
            terms["chroma"] = chroma(generated, x)
        if "F" in networks:
            backward, f = _render(networks["F"], batch, "target")
            cycle_x, f = _render(f, {**batch, "input": jnp.clip(generated, 0, 1)}, "input")
            cycle_y, g = _render(g, {**batch, "input": jnp.clip(backward, 0, 1)}, "input")
            outputs["DX"], changed = backward, {"G": g, "F": f}
            terms["identity"] = identity + reconstruction.mse(backward, y)
            if self.chroma:
                terms["chroma"] += chroma(backward, y)
            terms["cycle"] = reconstruction.mse(cycle_x, x) + reconstruction.mse(cycle_y, y)
        terms["adversarial"] = sum(
            adversarial.generator_loss(
                networks[name].apply(self.seen(name, outputs[name[:2]])), form=self.form
            )
            for name in self.critics
        )
        value = sum(getattr(self, name) * term for name, term in terms.items())
        mean = functools.partial(step.weighted_mean, weights=batch["weight"])
        batch_stats = {name: network.batch_stats for name, network in changed.items()}
        terms["input_psnr"] = metrics_lib.psnr_from_mse(identity)
        return mean(value), (batch_stats, jax.tree.map(mean, terms))


def _render(network, batch, member):
    """A generator's output of one member of a batch, in training mode: (output, the network)."""
    _, output, network = hdrnet.forward(network, {**batch, "input": batch[member]})
    return output, network

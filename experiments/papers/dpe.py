"""Deep Photo Enhancer as an experiment: on pairs, or unpaired against critics.

Modes:
  supervised: maximises the PSNR to the target.
  one_way: the generator G enhances; the critic DY compares its outputs with photos of the wanted
    look, and the output must stay close to its own input ("identity").
  two_way: with a second generator F in the other direction and a critic DX of its outputs; each
    generator must also undo what the other did ("cycle"). The generators see their own outputs
    through the other's second set of batch norm, if they have two.

A step updates the critics, and every `n_critic`-th step the generators after them. The critics see
images that the generators make in inference mode, by moving statistics; the generators' own step
normalises by the statistics of the batch. Pixels are compared where `valid` says that they are the
photo; the critics see the whole padded images.

Reference: Chen, Wang, Kao and Chuang 2018, "Deep Photo Enhancer: unpaired learning for image
enhancement from photographs with GANs"; the authors' code where the two differ, but that both
critics give real images the higher score.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from bilateral_jax import inference, models
from bilateral_jax import metrics as metrics_lib
from bilateral_jax.data.pipeline import whole_photos
from bilateral_jax.losses import adversarial, chroma_correlation, reconstruction
from bilateral_jax.models.model import Model
from bilateral_jax.training import step
from experiments import experiment
from experiments.papers import hdrnet
from experiments.runs import generators_and_critics

MODES = ("supervised", "one_way", "two_way")


def build(*, mode, model, steps, optimizer, schedule, average_decay, accumulate=1, **sections):
    """Builds the experiment from the sections of a config.

    Args:
      mode: one of `MODES`.
      model: fields of the generators, `models.dpe.DPE`.
      steps: length of the training, for the schedule.
      optimizer: name and options of the generators', see `schedules.optimizer`.
      schedule: options of `schedules.learning_rate` but for the peak and the steps.
      average_decay: of the moving average of the generators' weights, see `step.gradient_step`.
      accumulate: micro-batches per step, see there.
      **sections: the others of `_adversarial`, in the unpaired modes only.

    Returns:
      An `Experiment`.

    Raises:
      TypeError: a section holds a key that nothing takes; the message names it.
      ValueError: a field or a value that nothing takes, or several sets of batch norm in a mode
        that uses one.
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {MODES}, got {mode!r}")
    module = models.create("DPE", model)
    if mode != "two_way" and module.norm_sets > 1:
        raise ValueError(
            f"model.norm_sets must be 1 in mode {mode!r}, which uses no other, got "
            f"{module.norm_sets}"
        )
    options = {
        "steps": steps, "optimizer": optimizer, "schedule": schedule,
        "average_decay": average_decay, "accumulate": accumulate,
    }  # fmt: skip
    if mode != "supervised":
        return _adversarial(module, two_way=mode == "two_way", **options, **sections)
    if unknown := sorted(name for name, section in sections.items() if section is not None):
        raise TypeError(f"mode 'supervised' takes no {', '.join(unknown)}: set them to None")
    paper = hdrnet.assemble(module, _supervised_terms, **options)
    return paper._replace(batches=whole_photos.train_batches)


def _supervised_terms(network, batch):
    """Minus the PSNR, per example."""
    output, network = network.apply(batch["input"], train=True)
    error = reconstruction.mse(output, batch["target"], valid=batch.get("valid"))
    value = 10 * jnp.log10(error + 1e-10)
    return value, {"psnr": metrics_lib.psnr_from_mse(error)}, network


def _adversarial(
    module, *, two_way, steps, critic, loss, penalty, optimizer, critic_optimizer, schedule,
    n_critic, average_decay, accumulate,
):  # fmt: skip
    """Builds the experiment of an unpaired mode.

    Args:
      module: of the generators.
      two_way: with a generator and a critic of the other direction.
      steps: as for `build`.
      critic: fields of `models.dpe.DPECritic`.
      loss: weights of the terms, see `_Losses`.
      penalty: of the critics' gradients, see `generators_and_critics.CriticPenalty`.
      optimizer: as for `build`.
      critic_optimizer: the critics'.
      schedule: as for `build`; for both optimisers, each over its own updates.
      n_critic: steps of the critics for one of the generators.
      average_decay: as for `build`.
      accumulate: as for `build`.

    Returns:
      An `Experiment`.
    """
    updates = generators_and_critics.count_updates(steps, n_critic=n_critic)
    modules = {
        "generators": dict.fromkeys(("G", "F") if two_way else ("G",), module),
        "critics": dict.fromkeys(
            ("DY", "DX") if two_way else ("DY",), models.create("DPECritic", critic)
        ),
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
        experiment.check_images(batch)
        return step_of(current, batch)

    def enhance(current, image):
        network = current.networks["G"]
        return inference.enhance(Model(network.average, network.batch_stats, module), image)

    return experiment.Experiment(
        init=lambda key: generators_and_critics.init(
            key, modules, rules, extra={"penalties": penalty.start(losses.critics)}
        ),
        update=update,
        evaluate=experiment.image_evaluation(enhance),
        networks=networks,
        batches=whole_photos.train_batches,
        enhance=enhance,
        shipped="groups/generators/networks/G/average",
        shown=("loss", "critic_loss"),
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
      chroma: weight of `chroma_correlation` of each generator's output and its own input.
      chroma_shrink: factor by which both are reduced for that.
      critics: names of the critics.
      penalty: of their gradients.
    """

    identity: float
    cycle: float
    adversarial: float
    form: str
    chroma: float
    chroma_shrink: int
    critics: tuple[str, ...]
    penalty: generators_and_critics.CriticPenalty

    def __post_init__(self):
        generators_and_critics.check_loss(self)

    def of_critics(self, weights, networks, batch, key):
        """The critics' loss, as `step.gradient_step` takes it, given the penalties' weights."""
        del key  # the fractions were drawn for the whole batch
        mean = functools.partial(step.weighted_mean, weights=batch["weight"])
        value, metrics = 0.0, {}
        for i, name in enumerate(self.critics):
            maker, source, real = {
                "DY": ("G", "input", "target"),
                "DX": ("F", "target", "input"),
            }[name]
            critic, real = networks[name].apply, batch[real]
            generated = networks[maker].apply(batch[source])
            of_real, of_generated = jnp.split(critic(jnp.concatenate([real, generated])), 2)
            value += adversarial.critic_loss(of_real, True, form=self.form)
            value += adversarial.critic_loss(of_generated, False, form=self.form)
            metrics[f"distance_{name}"] = mean(of_real - of_generated)
            if weights:
                excess = self.penalty.at(critic, real, generated, batch["fraction"][:, i])
                value += weights[name] * excess
                metrics[f"penalty_{name}"] = mean(excess)
        return mean(value), ({}, metrics)

    def of_generators(self, networks, batch, key):
        """The generators' loss, as `step.gradient_step` takes it."""
        del key  # nothing is drawn at random
        x, y = batch["input"], batch["target"]
        valid = batch.get("valid")
        generated, g = networks["G"].apply(x, train=True)
        scores = networks["DY"].apply(generated)
        terms = {
            "identity": reconstruction.mse(generated, x, valid=valid),
            "adversarial": adversarial.generator_loss(scores, form=self.form),
        }
        chroma = functools.partial(chroma_correlation.chroma_correlation, shrink=self.chroma_shrink)
        if self.chroma:
            terms["chroma"] = chroma(generated, x, valid=valid)
        changed = {"G": g}
        if "F" in networks:
            target_valid = batch.get("target_valid", valid)
            second = {"norm_set": g.module.norm_sets - 1, "train": True}
            backward, f = networks["F"].apply(y, train=True)
            cycle_x, f = f.apply(jnp.clip(generated, 0, 1), **second)
            cycle_y, g = g.apply(jnp.clip(backward, 0, 1), **second)
            scores = networks["DX"].apply(backward)
            terms["identity"] += reconstruction.mse(backward, y, valid=target_valid)
            if self.chroma:
                terms["chroma"] += chroma(backward, y, valid=target_valid)
            terms["adversarial"] += adversarial.generator_loss(scores, form=self.form)
            terms["cycle"] = reconstruction.mse(cycle_x, x, valid=valid)
            terms["cycle"] += reconstruction.mse(cycle_y, y, valid=target_valid)
            changed = {"G": g, "F": f}
        value = sum(getattr(self, name) * term for name, term in terms.items())
        mean = functools.partial(step.weighted_mean, weights=batch["weight"])
        batch_stats = {name: network.batch_stats for name, network in changed.items()}
        return mean(value), (batch_stats, jax.tree.map(mean, terms))

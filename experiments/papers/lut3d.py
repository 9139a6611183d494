"""Image-adaptive 3D LUTs as an experiment: trained on pairs, or unpaired against a critic.

Paired, the error is that against the target. Unpaired, it is that against the input, so that the
output keeps its content, and a critic (WGAN-GP) compares the output with photos of the target kind.
Both add the regularizers of the tables, and the mean square of the predicted weights.

Reference: Zeng, Cai, Li, Cao and Zhang 2020, "Learning image-adaptive 3D lookup tables for high
performance photo enhancement in real-time", and the published code.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from bilateral_jax import inference, models
from bilateral_jax import metrics as metrics_lib
from bilateral_jax.losses import adversarial, gradient_penalties, reconstruction, tables
from bilateral_jax.models.model import Model
from bilateral_jax.training import state, step
from experiments import experiment
from experiments.papers import hdrnet
from experiments.runs import generators_and_critics


def build(
    *, steps, model, critic, loss, optimizer, critic_optimizer, schedule, average_decay,
    accumulate=1,
):  # fmt: skip
    """Builds the experiment from the sections of a config.

    Args:
      steps: length of the training, for the schedule.
      model: fields of `models.lut3d.ImageAdaptiveLUT`.
      critic: fields of `models.lut3d.LUTCritic`; None for training on pairs.
      loss: weights of the terms, see `_Losses`.
      optimizer: name and options of the network's, see `schedules.optimizer`.
      critic_optimizer: the critic's; None without one.
      schedule: options of `schedules.learning_rate` but for the peak and the steps; for both.
      average_decay: of the moving average of the network's weights, see `step.gradient_step`.
      accumulate: micro-batches per step, see there.

    Returns:
      An `Experiment`.

    Raises:
      TypeError: a section holds a key that nothing takes; the message names it.
      ValueError: a field or a value that nothing takes; a critic without the weight of its term, or
        the reverse.
    """
    losses = _Losses(**loss)
    _check_critic(critic, losses)
    make_optimizer = functools.partial(hdrnet.make_optimizer, steps=steps, schedule=schedule)
    modules = {"network": models.create("ImageAdaptiveLUT", model)}
    rules = {"network": make_optimizer(**optimizer)}
    if critic is not None:
        modules["critic"] = models.create("LUTCritic", critic)
        rules["critic"] = make_optimizer(**critic_optimizer)
    networks = {name: functools.partial(Model, module=module) for name, module in modules.items()}
    take = functools.partial(step.gradient_step, build=networks, accumulate=accumulate)

    def update(current, batch):
        experiment.check_images(batch)
        critic_metrics = {}
        if critic is not None:
            current, critic_metrics = _critic_step(take, losses, current, batch, rules["critic"])
        current, metrics = take(
            losses.of_network, current, "main", batch, rules["network"],
            average_decay=average_decay,
        )  # fmt: skip
        return step.finish_step(current), metrics | critic_metrics

    def enhance(current, image):
        return inference.enhance(
            Model(current.networks["network"].average, {}, modules["network"]), image
        )

    return experiment.Experiment(
        init=functools.partial(_init, modules, rules),
        update=update,
        evaluate=experiment.image_evaluation(enhance),
        networks=modules,
        batches=hdrnet.crops_for(modules["network"]),
        enhance=enhance,
        shown=("loss", "psnr") if critic is None else ("loss", "critic_loss"),
    )


def _check_critic(critic, losses):
    if (critic is None) == bool(losses.adversarial):
        raise ValueError(
            f"loss.adversarial is {losses.adversarial} and critic is {critic}: training on pairs "
            "needs 0 and None, unpaired training a weight and the critic's fields"
        )


def _init(modules, rules, key):
    *keys, state_key = jax.random.split(key, 1 + len(modules))
    groups = {}
    for (name, module), own in zip(modules.items(), keys, strict=True):
        network = state.create_network(Model.init(module, own).params, averaged=name != "critic")
        group = "main" if name == "network" else name
        groups[group] = state.create_group({name: network}, rules[name])
    return state.create(state_key, groups)


def _critic_step(take, losses, current, batch, rule):
    drawn = generators_and_critics.random_fractions(current, len(batch["input"]), 1)
    batch = batch | {"fraction": drawn[:, 0]}
    current, metrics = take(losses.of_critic, current, "critic", batch, rule)
    return current, {f"critic_{name}": value for name, value in metrics.items()}


@dataclasses.dataclass(frozen=True)
class _Losses:
    """Both losses; the fields are the weights of their terms.

    Attributes:
      mse: squared error, against the target on pairs, against the input in unpaired training.
      smoothness: total variation of the basis tables, and mean square of the predicted weights.
      monotonicity: of the basis tables.
      adversarial: minus the critic's score; 0 in training on pairs.
      gradient_penalty: two-sided, between real and generated images, in the critic's own loss.
    """

    mse: float
    smoothness: float
    monotonicity: float
    adversarial: float = 0.0
    gradient_penalty: float = 0.0

    def of_network(self, networks, batch, key):
        """The network's loss, as `step.gradient_step` takes it."""
        network = networks["network"]
        weights, output = _forward(network, batch, key)
        reference = batch["input" if self.adversarial else "target"]
        error = reconstruction.mse(output, reference)
        basis = network.params["basis"]
        variation, falling = tables.total_variation(basis), tables.monotonicity(basis)
        value = (
            self.mse * error
            + self.smoothness * (jnp.square(weights).mean(-1) + variation.sum())
            + self.monotonicity * falling.sum()
        )
        if self.adversarial:
            scores = networks["critic"].apply(output)
            value += self.adversarial * adversarial.generator_loss(scores, form="wasserstein")
        mean = functools.partial(step.weighted_mean, weights=batch["weight"])
        # Unpaired, there is no target to measure: how far the output moved from the input.
        name = "input_psnr" if self.adversarial else "psnr"
        return mean(value), ({}, {name: mean(metrics_lib.psnr_from_mse(error))})

    def of_critic(self, networks, batch, key):
        """The critic's loss: generated minus real scores, and the penalty of its gradient."""
        _, output = _forward(networks["network"], batch, key)
        critic, real = networks["critic"].apply, batch["target"]
        distance = critic(real) - critic(output)
        between = gradient_penalties.interpolate(real, output, batch["fraction"])
        penalty = gradient_penalties.penalty(critic, between, form="two_sided")
        mean = functools.partial(step.weighted_mean, weights=batch["weight"])
        value = mean(self.gradient_penalty * penalty - distance)
        return value, ({}, {"distance": mean(distance), "gradient_penalty": mean(penalty)})


def _forward(network, batch, key):
    """Runs the network in training mode: (weights `[b, tables]`, output)."""
    small = hdrnet.lowres_input(network.module, batch)
    weights, _ = network.apply(small, method="weights", train=True, rngs={"dropout": key})
    table = network.apply(weights, method="table")
    return weights, network.apply(table, batch["input"], method="render")

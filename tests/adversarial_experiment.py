"""An experiment with two generators and two critics of one matrix each, which compiles quickly.

It uses everything that the training state offers: two groups, generators that are updated every
fifth step, critics whose projections stay orthonormal, and in `extra` the adaptive weights of the
critics' gradient penalties and an image pool.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bilateral_jax.losses import adversarial, gradient_penalties
from bilateral_jax.training import adaptive_penalty, image_pool, parallel, projections, state, step
from experiments import experiment

PERIOD, CROP, POOL = 5, 8, 6
FORM = "wasserstein"
# These critics are nearly flat, so that every update exceeds the bound.
_ADAPTATION = {"bound": 1e-3, "cooldown": 3}
_GENERATORS = optax.adam(1e-2)
_CRITICS = optax.chain(
    optax.adam(1e-2),
    projections.after_update(
        projections.orthonormal_columns,
        mask=lambda params: {name: {"projection": True, "head": False} for name in params},
    ),
)


class AdversarialExperiment(experiment.Experiment):
    """Its networks are no registered models: the checkpoint describes one by a made-up name."""

    def model_entry(self):
        return {"name": "Toy", "hyperparameters": {}, "params": self.shipped, "batch_stats": ""}

    def network_entries(self, state):
        return {name: {"name": "Toy"} for name in state.networks}


def build(*, steps, **sections):
    del steps, sections
    networks = {"G": _generator, "F": _generator, "DX": _critic, "DY": _critic}

    def init(key):
        keys = dict(zip(networks, jax.random.split(key, 4), strict=True))
        generators = {name: {"matrix": jnp.eye(4, 3)} for name in ("G", "F")}
        critics = {
            name: {
                "projection": projections.orthonormal_columns(
                    jax.random.normal(keys[name], (6, 3))
                ),
                "head": jax.random.normal(keys[name], (6,)),
            }
            for name in ("DX", "DY")
        }
        groups = {
            "generators": state.create_group(
                {name: state.create_network(params) for name, params in generators.items()},
                _GENERATORS,
            ),
            "critics": state.create_group(
                {
                    name: state.create_network(params, averaged=False)
                    for name, params in critics.items()
                },
                _CRITICS,
            ),
        }
        extra = {
            "penalties": {name: adaptive_penalty.create(weight=0.01) for name in critics},
            "pool": image_pool.create(POOL, (CROP, CROP, 3)),
        }
        return state.create(key, groups, extra=extra)

    def update(current, batch):
        generated = _apply(current.networks["G"].params, batch["input"])
        key, penalties = jax.random.fold_in(current.key, current.step), current.extra["penalties"]
        pool, earlier = image_pool.exchange(key, current.extra["pool"], generated)
        drawn = {"generated": earlier, "fraction": _fractions(key, len(batch["input"]))}
        current, critic_metrics = step.gradient_step(
            _critic_loss(penalties), current, "critics", batch | drawn, _CRITICS, build=networks
        )
        penalties = {
            name: adaptive_penalty.update(penalty, critic_metrics[f"penalty_{name}"], **_ADAPTATION)
            for name, penalty in penalties.items()
        }
        current = current.replace(extra={"penalties": penalties, "pool": pool})

        def generators(current):
            return step.gradient_step(
                _generator_loss, current, "generators", batch, _GENERATORS,
                build=networks, average_decay=0.9,
            )  # fmt: skip

        current, metrics = step.every(PERIOD, current, generators)
        metrics |= {f"critic_{name}": value for name, value in critic_metrics.items()}
        weights = {f"weight_{name}": penalty.weight for name, penalty in penalties.items()}
        return step.finish_step(current), metrics | weights

    def enhance(current, image):
        matrix = current.networks["G"].average["matrix"]
        return np.asarray(image) @ matrix[:3] + matrix[3]

    return AdversarialExperiment(
        init,
        update,
        experiment.image_evaluation(enhance),
        networks=dict.fromkeys(networks),
        enhance=enhance,
        shipped="groups/generators/networks/G/average",
        shown=("loss", "critic_loss"),
    )


def _critic_loss(penalties):
    """The critics' loss, each with the weight of its penalty as it is in this step."""

    def loss(networks, batch, key):
        del key
        mean = lambda values: step.weighted_mean(values, batch["weight"])  # noqa: E731
        pairs = {
            "DY": (batch["target"], batch["generated"]),
            "DX": (batch["input"], networks["F"](batch["target"])),
        }
        value, metrics = 0.0, {}
        for name, (real, generated) in pairs.items():
            critic = networks[name]
            between = gradient_penalties.interpolate(real, generated, batch["fraction"])
            penalty = gradient_penalties.penalty(critic, between, form="two_sided")
            value += adversarial.critic_loss(critic(real), True, form=FORM)
            value += adversarial.critic_loss(critic(generated), False, form=FORM)
            value += penalties[name].weight * penalty
            metrics[f"penalty_{name}"] = mean(penalty)
        return mean(value), ({}, metrics)

    return loss


def _generator_loss(networks, batch, key):
    del key
    forward = networks["G"](batch["input"])
    backward = networks["F"](batch["target"])
    cycle = jnp.abs(networks["F"](forward) - batch["input"]).mean((1, 2, 3))
    value = cycle + adversarial.generator_loss(networks["DY"](forward), form=FORM)
    value += adversarial.generator_loss(networks["DX"](backward), form=FORM)
    mean = lambda values: step.weighted_mean(values, batch["weight"])  # noqa: E731
    return mean(value), ({}, {"cycle": mean(cycle)})


def _fractions(key, count):
    """Where between real and generated images the penalty is measured: `[count]`."""
    key = jax.random.fold_in(key, 1)  # the pool has drawn from the key itself
    return parallel.per_example_draw(lambda size: jax.random.uniform(key, (size,)), count)


def _apply(params, image):
    matrix, highest = params["matrix"], jax.lax.Precision.HIGHEST
    product = jnp.einsum("bhwc,cd->bhwd", image, matrix[:3], precision=highest)
    return product + matrix[3].reshape(1, 1, 1, 3)


def _generator(params, batch_stats):
    del batch_stats
    return lambda image: _apply(params, image)


def _critic(params, batch_stats):
    del batch_stats

    def score(image):
        color, highest = image.mean((1, 2)), jax.lax.Precision.HIGHEST
        hidden = jnp.einsum("bc,kc->bk", color, params["projection"], precision=highest)
        return jnp.tanh(hidden * params["head"][None]).mean(-1)

    return score

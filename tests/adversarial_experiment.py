"""An experiment with two generators and two critics of one matrix each, which compiles quickly.

It uses everything that the training state offers: two groups, generators that are updated every
fifth step, critics whose projections stay orthonormal, an adaptive penalty weight, an image pool
and a running average in `extra`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bilateral_jax.training import image_pool, projections, state, step
from experiments import experiment

PERIOD, CROP, POOL = 5, 8, 6
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
            "penalty": jnp.float32(1),
            "distance": jnp.float32(0),
            "pool": image_pool.create(POOL, (CROP, CROP, 3)),
        }
        return state.create(key, groups, extra=extra)

    def update(current, batch):
        generated = _apply(current.networks["G"].params, batch["input"])
        pool, earlier = image_pool.exchange(
            jax.random.fold_in(current.key, current.step), current.extra["pool"], generated
        )
        current, critic_metrics = step.gradient_step(
            _critic_loss, current, "critics", batch | {"generated": earlier}, _CRITICS,
            build=networks,
        )  # fmt: skip
        distance = 0.9 * current.extra["distance"] + 0.1 * critic_metrics["loss"]
        # The weight of the cycle term follows the critics' running loss.
        penalty = current.extra["penalty"] * jnp.where(distance > -0.01, 1.01, 0.99)
        extra = {"penalty": penalty, "distance": distance, "pool": pool}
        current = current.replace(extra=extra)

        def generators(current):
            return step.gradient_step(
                _generator_loss(current.extra["penalty"]), current, "generators", batch,
                _GENERATORS, build=networks, average_decay=0.9,
            )  # fmt: skip

        current, metrics = step.every(PERIOD, current, generators)
        metrics |= {f"critic_{name}": value for name, value in critic_metrics.items()}
        return step.finish_step(current), metrics | {"penalty": penalty}

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


def _critic_loss(networks, batch, key):
    del key
    mean = lambda values: step.weighted_mean(values, batch["weight"])  # noqa: E731
    forward = mean(networks["DY"](batch["generated"]) - networks["DY"](batch["target"]))
    backward = mean(networks["DX"](networks["F"](batch["target"])) - networks["DX"](batch["input"]))
    return forward + backward, ({}, {})


def _generator_loss(penalty):
    def loss(networks, batch, key):
        del key
        forward = networks["G"](batch["input"])
        cycle = jnp.abs(networks["F"](forward) - batch["input"]).mean((1, 2, 3))
        value = penalty * cycle - networks["DY"](forward)
        value = value - networks["DX"](networks["F"](batch["target"]))
        mean = lambda values: step.weighted_mean(values, batch["weight"])  # noqa: E731
        return mean(value), ({}, {"cycle": mean(cycle)})

    return loss


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

"""An experiment that trains one colour matrix, which compiles quickly."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bilateral_jax.training import state, step
from experiments import experiment

_OPTIMIZER = optax.adam(1e-2)


class ToyExperiment(experiment.Experiment):
    """Its network is no registered model: the checkpoint describes it by a made-up name."""

    def model_entry(self):
        return {"name": "Toy", "hyperparameters": {}, "params": self.shipped, "batch_stats": ""}

    def network_entries(self, state):
        return {name: {"name": "Toy"} for name in state.networks}


def build(*, steps, **sections):
    del steps, sections

    def init(key):
        return state.create_single(key, {"matrix": jnp.eye(4, 3)}, {}, _OPTIMIZER)

    def loss(networks, batch, key):
        del key
        difference = networks["network"](batch["input"]) - batch["target"]
        error = jnp.square(difference).mean((1, 2, 3))
        return step.weighted_mean(error, batch["weight"]), ({}, {})

    def update(current, batch):
        current, metrics = step.gradient_step(
            loss, current, "main", batch, _OPTIMIZER, build={"network": _network}, average_decay=0.9
        )
        return step.finish_step(current), metrics

    def enhance(current, image):
        matrix = current.networks["network"].average["matrix"]
        return np.asarray(image) @ matrix[:3] + matrix[3]

    return ToyExperiment(
        init,
        update,
        experiment.image_evaluation(enhance),
        networks={"network": None},
        enhance=enhance,
    )


def _network(params, batch_stats):
    del batch_stats
    matrix = params["matrix"]

    def apply(image):
        highest = jax.lax.Precision.HIGHEST
        product = jnp.einsum("bhwc,cd->bhwd", image, matrix[:3], precision=highest)
        return product + matrix[3].reshape(1, 1, 1, 3)

    return apply

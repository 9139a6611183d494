"""An experiment of one colour matrix: what experiments/train.py needs, and compiled in no time."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bilateral_jax.training import state, step
from experiments import experiment

_OPTIMIZER = optax.adam(1e-2)


def build(*, steps, **sections):
    del steps, sections

    def init(key):
        params = {"matrix": jnp.eye(4, 3)}
        return state.create(key, params, {}, _OPTIMIZER)

    def loss(params, batch_stats, batch, key):
        del key
        difference = _apply(params["matrix"], batch["input"]) - batch["target"]
        error = jnp.square(difference).mean((1, 2, 3))
        return step.weighted_mean(error, batch["weight"]), (batch_stats, {})

    def update(current, batch):
        return step.gradient_step(loss, current, batch, _OPTIMIZER, average_decay=0.9)

    def enhance(current, image):
        return np.asarray(image) @ current.average["matrix"][:3] + current.average["matrix"][3]

    return experiment.Experiment(
        init, update, experiment.enhancing(enhance), ("Toy", {}), enhance=enhance
    )


def _apply(matrix, image):
    product = jnp.einsum("bhwc,cd->bhwd", image, matrix[:3], precision=jax.lax.Precision.HIGHEST)
    return product + matrix[3].reshape(1, 1, 1, 3)

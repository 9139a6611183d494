"""One gradient step, for any network and any loss.

Receives a loss function from experiments and a State from training/state.py.
Hands the next State and averaged metrics to training/parallel.py's mapped update.
"""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from bilateral_jax.training import parallel


def gradient_step(loss, state, optimizer, *, average_decay=0.0):
    """Moves a state by one optimiser step; for use inside a function given to `parallel.update`.

    Args:
      loss: `(params, batch_stats, key) -> (scalar, (batch_stats, metrics))` over this device's
        share of the batch; the scalar averaged over devices is the loss of the whole batch.
        Metrics are a dict of scalars.
      state: a `State`.
      optimizer: the `optax.GradientTransformation` the state was created with.
      average_decay: decay per step of the moving average of the weights, in [0, 1); at step t it
        is at most (1 + t) / (10 + t), so that the random start is forgotten soon. 0 makes the
        average follow the weights.

    Returns:
      `(state, metrics)`, equal on all devices; metrics gain "loss" and "gradient_norm".
    """
    key = parallel.step_key(state.key, state.step)
    (value, (batch_stats, metrics)), gradient = jax.value_and_grad(loss, has_aux=True)(
        state.params, state.batch_stats, key
    )
    gradient, batch_stats, metrics = parallel.mean(
        (gradient, batch_stats, {**metrics, "loss": value})
    )
    metrics["gradient_norm"] = optax.tree.norm(gradient)
    change, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, change)
    decay = jnp.minimum(average_decay, (1.0 + state.step) / (10.0 + state.step))
    average = jax.tree.map(lambda mean, new: new + decay * (mean - new), state.average, params)
    state = dataclasses.replace(
        state,
        step=state.step + 1,
        params=params,
        batch_stats=batch_stats,
        average=average,
        opt_state=opt_state,
    )
    return state, metrics


def weighted_mean(values, weights):
    """Averages per-example values so that the mean over devices is the mean over the whole batch.

    Args:
      values: float `[b]`, one per example of this device's share.
      weights: float `[b]`, 0 for padding.

    Returns:
      A scalar; its mean over devices is `sum(values * weights) / sum(weights)` of the whole batch,
      0 for an empty one.
    """
    share = parallel.mean(jnp.sum(weights))
    kept = jnp.where(weights > 0, values * weights, 0.0)
    return jnp.sum(kept) / jnp.where(share > 0, share, 1.0)

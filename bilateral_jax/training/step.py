"""One gradient step, for any network and any loss.

Receives a loss function from experiments and a State from training/state.py.
Hands the next State and averaged metrics to training/parallel.py's mapped update.
"""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from bilateral_jax.training import parallel


def gradient_step(loss, state, batch, optimizer, *, average_decay=0.0, accumulate=1):
    """Moves a state by one optimiser step; for use inside a function given to `parallel.update`.

    The gradient is averaged over micro-batches and devices first, so that the optimiser (and its
    clipping) sees that of the whole batch, the same on all devices.

    Args:
      loss: `(params, batch_stats, batch, key) -> (scalar, (batch_stats, metrics))` over a part of
        this device's share; the scalar averaged over devices is the loss of what they all were
        given. Metrics are a dict of scalars.
      state: a `State`.
      batch: dict of arrays `[b, ...]`, this device's share.
      optimizer: the `optax.GradientTransformation` the state was created with.
      average_decay: decay per step of the moving average of the weights, in [0, 1); at step t it
        is at most (1 + t) / (10 + t), so that the random start is forgotten soon. 0 makes the
        average follow the weights.
      accumulate: number of micro-batches the share is worked through in, one after the other, to
        save memory. They count by the sum of `batch["weight"]`, so for a loss made of
        `weighted_mean` the step is that of the whole share. Batch norm sees each micro-batch (over
        all devices) on its own, and its moving values move once for each.

    Returns:
      `(state, metrics)`, equal on all devices; metrics gain "loss" and "gradient_norm". What
      becomes of a step where these are not finite is the business of training/nonfinite_guard.py.

    Raises:
      ValueError: the share does not divide by `accumulate`.
    """
    gradient, batch_stats, metrics = _gradient(loss, state, batch, accumulate)
    metrics["gradient_norm"] = optax.tree.norm(gradient)
    change, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, change)
    average = state.average
    if average is not None:
        decay = jnp.minimum(average_decay, (1.0 + state.step) / (10.0 + state.step))
        average = jax.tree.map(lambda mean, new: new + decay * (mean - new), average, params)
    state = dataclasses.replace(
        state,
        step=state.step + 1,
        params=params,
        batch_stats=batch_stats,
        average=average,
        opt_state=opt_state,
    )
    return state, metrics


def _gradient(loss, state, batch, accumulate):
    """Gradient, batch statistics and metrics (with "loss") of the whole batch."""
    key = parallel.step_key(state.key, state.step)
    differentiate = jax.value_and_grad(loss, has_aux=True)
    if accumulate == 1:
        (value, (batch_stats, metrics)), gradient = differentiate(
            state.params, state.batch_stats, batch, key
        )
        return parallel.mean((gradient, batch_stats, {**metrics, "loss": value}))

    micro_batches = _cut(batch, accumulate)

    def add(carry, part):
        total, batch_stats = carry
        number, share, micro_batch = part
        (value, (batch_stats, metrics)), gradient = differentiate(
            state.params, batch_stats, micro_batch, jax.random.fold_in(key, number)
        )
        total = jax.tree.map(lambda x, y: x + share * y, total, gradient)
        metrics = {name: share * each for name, each in {**metrics, "loss": value}.items()}
        return (total, batch_stats), metrics

    start = (jax.tree.map(jnp.zeros_like, state.params), state.batch_stats)
    parts = (jnp.arange(accumulate), _shares(micro_batches), micro_batches)
    (gradient, batch_stats), metrics = jax.lax.scan(add, start, parts)
    metrics = jax.tree.map(lambda each: each.sum(0), metrics)
    return parallel.mean((gradient, batch_stats, metrics))


def _cut(batch, count):
    """Reshapes every array `[b, ...]` of a share to `[count, b / count, ...]`."""
    size = len(next(iter(batch.values())))
    if count < 1 or size % count:
        raise ValueError(
            f"a device's share of {size} examples cannot be cut into accumulate={count} equal "
            "micro-batches; choose a batch size that is a multiple of accumulate x devices"
        )
    return {name: x.reshape((count, size // count, *x.shape[1:])) for name, x in batch.items()}


def _shares(micro_batches):
    """How much each of the micro-batches `[k, b, ...]` counts in the whole batch; sums to 1."""
    if "weight" not in micro_batches:
        count = len(next(iter(micro_batches.values())))
        return jnp.full(count, 1 / count)
    weights = parallel.mean(micro_batches["weight"].sum(1))
    return weights / jnp.where(weights.sum() > 0, weights.sum(), 1.0)


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

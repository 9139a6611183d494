"""One gradient step of one group of networks, for any networks and any loss."""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from bilateral_jax.training import parallel


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Counted:
    """A metric with the number of steps it stands for.

    A plain scalar stands for one step. A metric of something that happens every n-th step has a
    count of 0 in the other steps, so that the average over many steps is that of the steps in which
    it was measured.

    Attributes:
      value: float scalar; finite, and without meaning where the count is 0.
      count: float scalar.
    """

    value: jax.Array
    count: jax.Array


def gradient_step(loss, state, group, batch, optimizer, *, build, average_decay=0.0, accumulate=1):
    """Updates one group of a state by one optimiser step; for use inside an update.

    The gradient is averaged over micro-batches and devices first, so that the optimiser (and its
    clipping) sees that of the whole batch, the same on all devices. `state.step` does not change:
    an update that consists of several gradient steps adds 1 at its end (`finish_step`).

    Args:
      loss: `(networks, batch, key) -> (scalar, (batch_stats, metrics))` over a part of this
        device's shard. `networks` are all networks of the state by name, ready to call: those of
        the group depend on the weights that the loss is differentiated by, the others are
        constants. `batch_stats` is `{name: running statistics}` of the group's networks, as they
        are after this call; a network that is left out keeps its own. The scalar averaged over
        devices is the loss of the whole batch. Metrics are a dict of scalars.
      state: a `TrainState`.
      group: name of the group to update.
      batch: dict of arrays `[b, ...]`, this device's shard.
      optimizer: the `optax.GradientTransformation` that the group was created with.
      build: `{name: (params, batch_stats) -> network}`, for every network of the state that the
        loss uses.
      average_decay: decay per update of the moving average of the weights, in [0, 1); at update t
        it is at most (1 + t) / (10 + t), so that the random initial weights are forgotten soon. 0
        makes the average equal to the weights.
      accumulate: number of micro-batches that the shard is processed in, one after the other, to
        save memory. They count by the sum of `batch["weight"]`, so for a loss made of
        `weighted_mean` the step is that of the whole shard. Batch norm sees each micro-batch (over
        all devices) on its own, and its moving values move once for each.

    Returns:
      `(state, metrics)`, equal on all devices; metrics gain "loss" and "gradient_norm". What
      happens to a step where these are not finite is decided by training/nonfinite_guard.py.

    Raises:
      ValueError: the shard does not divide by `accumulate`.
    """
    current = state.groups[group]

    def objective(params, batch_stats, batch, key):
        networks = {}
        for name, make in build.items():
            if name in params:
                networks[name] = make(params[name], batch_stats[name])
            else:
                other = state.networks[name]
                networks[name] = make(other.params, other.batch_stats)
        value, (changed, metrics) = loss(networks, batch, key)
        return value, (batch_stats | changed, metrics)

    gradient, batch_stats, metrics = _gradient(
        objective, current, batch, _group_key(state, group), accumulate
    )
    metrics["gradient_norm"] = optax.tree.norm(gradient)
    change, opt_state = optimizer.update(gradient, current.opt_state, current.params)
    params = optax.apply_updates(current.params, change)
    decay = jnp.minimum(average_decay, (1.0 + current.updates) / (10.0 + current.updates))
    networks = {
        name: dataclasses.replace(
            network,
            params=params[name],
            batch_stats=batch_stats[name],
            average=_moved(network.average, params[name], decay),
        )
        for name, network in current.networks.items()
    }
    current = dataclasses.replace(
        current, networks=networks, opt_state=opt_state, updates=current.updates + 1
    )
    return state.replace_group(group, current), metrics


def finish_step(state):
    """Counts a step: the last thing that an update does."""
    return state.replace(step=state.step + 1)


def every(period, state, take):
    """Takes a part of an update on every `period`-th step only: steps `period`, `2 * period`, ...

    Args:
      period: steps from one to the next, at least 1.
      state: a `TrainState`; its `step` is the number of steps done before.
      take: `state -> (state, metrics)`, the state of the same structure.

    Returns:
      `(state, metrics)`, the metrics as `Counted`, with count 0 where nothing was done.
    """

    def done(state):
        state, metrics = take(state)
        return state, {
            name: Counted(jnp.float32(value), jnp.float32(1)) for name, value in metrics.items()
        }

    def left_out(state):
        _, metrics = jax.eval_shape(take, state)
        return state, {name: Counted(jnp.float32(0), jnp.float32(0)) for name in metrics}

    return jax.lax.cond((state.step + 1) % period == 0, done, left_out, state)


def _moved(average, params, decay):
    if average is None:
        return None
    return jax.tree.map(lambda mean, new: new + decay * (mean - new), average, params)


def _group_key(state, group):
    """A key that no other step, group or device gets."""
    position = sorted(state.groups).index(group)
    key = state.key if position == 0 else jax.random.fold_in(state.key, position)
    return parallel.step_key(key, state.step)


def _gradient(objective, group, batch, key, accumulate):
    """Gradient, batch statistics and metrics (with "loss") of the whole batch."""
    differentiate = jax.value_and_grad(objective, has_aux=True)
    params = group.params
    batch_stats = {name: network.batch_stats for name, network in group.networks.items()}
    if accumulate == 1:
        (value, (batch_stats, metrics)), gradient = differentiate(params, batch_stats, batch, key)
        return parallel.mean((gradient, batch_stats, {**metrics, "loss": value}))

    micro_batches = _split(batch, accumulate)

    def add(carry, part):
        total, batch_stats = carry
        number, fraction, micro_batch = part
        (value, (batch_stats, metrics)), gradient = differentiate(
            params, batch_stats, micro_batch, jax.random.fold_in(key, number)
        )
        total = jax.tree.map(lambda x, y: x + fraction * y, total, gradient)
        metrics = {name: fraction * each for name, each in {**metrics, "loss": value}.items()}
        return (total, batch_stats), metrics

    zero = (jax.tree.map(jnp.zeros_like, params), batch_stats)
    parts = (jnp.arange(accumulate), _fractions(micro_batches), micro_batches)
    (gradient, batch_stats), metrics = jax.lax.scan(add, zero, parts)
    metrics = jax.tree.map(lambda each: each.sum(0), metrics)
    return parallel.mean((gradient, batch_stats, metrics))


def _split(batch, count):
    """Reshapes every array `[b, ...]` of a shard to `[count, b / count, ...]`."""
    size = len(next(iter(batch.values())))
    if count < 1 or size % count:
        raise ValueError(
            f"a device's shard of {size} examples cannot be split into accumulate={count} equal "
            "micro-batches; choose a batch size that is a multiple of accumulate x devices"
        )
    return {name: x.reshape((count, size // count, *x.shape[1:])) for name, x in batch.items()}


def _fractions(micro_batches):
    """The weight of each of the micro-batches `[k, b, ...]` in the whole batch; sums to 1."""
    if "weight" not in micro_batches:
        count = len(next(iter(micro_batches.values())))
        return jnp.full(count, 1 / count)
    weights = parallel.mean(micro_batches["weight"].sum(1))
    return weights / jnp.where(weights.sum() > 0, weights.sum(), 1.0)


def weighted_mean(values, weights):
    """Weighted mean of per-example values, so that its mean over devices is that of the batch.

    Args:
      values: float `[b]`, one per example of this device's shard.
      weights: float `[b]`, 0 for padding.

    Returns:
      A scalar; its mean over devices is `sum(values * weights) / sum(weights)` of the whole batch,
      0 for an empty one.
    """
    total = parallel.mean(jnp.sum(weights))
    kept = jnp.where(weights > 0, values * weights, 0.0)
    return jnp.sum(kept) / jnp.where(total > 0, total, 1.0)

"""training/: devices, steps, schedules, averages on a toy with batch statistics."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bilateral_jax.training import nonfinite_guard, parallel, state, step

pytestmark = pytest.mark.usefixtures("compiled_quickly")

_OPTIMIZER = optax.adam(0.05)


def _toy_update(current, batch):
    """Fits y = w x + c, with a running mean of x and noise that must differ between devices."""

    def loss(networks, batch, key):
        params, stats = networks["network"]
        prediction = params["w"] * batch["x"] + params["c"]
        error = jnp.square(prediction - batch["y"])
        stats = {
            "mean": 0.9 * stats["mean"] + 0.1 * step.weighted_mean(batch["x"], batch["weight"])
        }
        noise = jax.random.uniform(key)
        return step.weighted_mean(error, batch["weight"]), (
            {"network": stats},
            {"noise": noise, "noise_squared": noise**2},
        )

    current, metrics = step.gradient_step(
        loss, current, "main", batch, _OPTIMIZER, build={"network": _variables}, average_decay=0.9
    )
    return step.finish_step(current), metrics


def _variables(params, batch_stats):
    """A network that is nothing but its variables."""
    return params, batch_stats


def _network(current):
    return current.networks["network"]


def _start():
    params = {"w": jnp.float32(0.3), "c": jnp.float32(-1.0)}
    return state.create_single(jax.random.key(1), params, {"mean": jnp.float32(0.0)}, _OPTIMIZER)


def _batches(count, size=16):
    rng = np.random.default_rng(5)
    for _ in range(count):
        x = rng.normal(size=size).astype(np.float32)
        weight = np.ones(size, np.float32)
        weight[-3:] = 0
        yield {
            "x": x,
            "y": 2 * x + 1 + 0.1 * rng.normal(size=size).astype(np.float32),
            "weight": weight,
        }


def _run(devices, count=12):
    current, losses = parallel.replicate(_start(), devices=devices), []
    update = parallel.update(_toy_update, devices=devices)
    for batch in _batches(count):
        current, metrics = update(current, batch)
        losses.append(jax.device_get(metrics))
    return current, losses


def test_eight_devices_follow_the_same_curve_as_one():
    assert len(jax.local_devices()) == 8
    alone, together = _run(jax.local_devices()[:1]), _run(jax.local_devices())
    for name in ("loss", "gradient_norm"):
        np.testing.assert_allclose(
            [m[name] for m in alone[1]], [m[name] for m in together[1]], rtol=2e-5
        )
    np.testing.assert_allclose(
        _network(alone[0]).params["w"], _network(together[0]).params["w"], rtol=1e-5
    )
    np.testing.assert_allclose(
        _network(alone[0]).batch_stats["mean"], _network(together[0]).batch_stats["mean"], rtol=1e-5
    )
    assert alone[1][0]["loss"] > 2 * alone[1][-1]["loss"]


@pytest.mark.parametrize("count", [1, 8])
def test_what_is_frozen_reaches_every_device_and_a_bad_step_leaves_it(count):
    def function(current, batch, scale, critic):
        value = parallel.mean((batch["x"] * scale * critic["w"]).sum())
        return current.replace(step=current.step + 1, extra={"value": value}), {"value": value}

    frozen = (np.float32(2.0), {"w": np.full(16 // count, 3.0, np.float32)})
    devices = jax.local_devices()[:count]
    update = parallel.update(nonfinite_guard.update(function), frozen=frozen, devices=devices)
    current = parallel.replicate(
        nonfinite_guard.start(_start_at(jnp.float32(0)), allowed=1), devices=devices
    )
    for x, expected in ((1.0, 6.0 * 16 / count), (np.nan, 6.0 * 16 / count)):
        current, metrics = update(current, {"x": np.full(16, x, np.float32)})
        assert float(current.state.extra["value"]) == expected
    assert float(metrics["skipped"]) == 1 and parallel.unsynchronised_leaves(current) == []


def _start_at(value):
    return state.create(jax.random.key(1), {}, extra={"value": value})


def test_padding_does_not_count_in_the_loss():
    batch = next(_batches(1))
    expected = np.mean((0.3 * batch["x"] - 1 - batch["y"])[:13] ** 2)
    np.testing.assert_allclose(_run(jax.local_devices(), 1)[1][0]["loss"], expected, rtol=1e-5)


def test_every_replica_holds_the_same_bits():
    current, metrics = parallel.replicate(_start()), None
    update = parallel.update(_toy_update)
    for batch in _batches(3):
        current, metrics = update(current, batch)
    for leaf in jax.tree.leaves(dataclasses.replace(current, key=jax.random.key_data(current.key))):
        copies = [np.asarray(shard.data) for shard in leaf.addressable_shards]
        assert len(copies) == 8
        for copy in copies[1:]:
            np.testing.assert_array_equal(copy, copies[0])
    assert parallel.unsynchronised_leaves({"state": current, "metrics": metrics}) == []


@pytest.mark.parametrize("left_out", ["gradient", "batch_stats", "noise"])
def test_a_mean_that_is_left_out_is_found(left_out, monkeypatch):
    """JAX raises nothing: the result is marked as replicated and is not."""
    whole = parallel.mean

    def partial(tree, axis_name=parallel.AXIS):
        if not isinstance(tree, tuple):
            return whole(tree, axis_name)  # of the weights
        gradient, batch_stats, metrics = whole(tree, axis_name)
        if left_out == "gradient":
            return tree[0], batch_stats, metrics
        if left_out == "batch_stats":
            return gradient, tree[1], metrics
        return gradient, batch_stats, {**metrics, left_out: tree[2][left_out]}

    monkeypatch.setattr(parallel, "mean", partial)
    update = parallel.update(lambda *args: _toy_update(*args))  # a new function: nothing is cached
    current, metrics = update(parallel.replicate(_start()), next(_batches(1)))
    found = parallel.unsynchronised_leaves({"state": current, "metrics": metrics})
    path = "state/groups/main/networks/network"
    expected = {
        "gradient": ["metrics/gradient_norm", *(f"{path}/average/{name}" for name in "cw")],
        "batch_stats": [f"{path}/batch_stats/mean"],
        "noise": ["metrics/noise"],
    }[left_out]
    assert set(expected) <= set(found)
    assert left_out == "gradient" or found == expected
    assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(metrics))


def test_a_key_that_differs_is_found():
    different = parallel.update(
        lambda key, batch: (parallel.step_key(key, 0), batch["x"].shape[0] * jnp.ones(()))
    )
    key, metrics = different(parallel.replicate(jax.random.key(0)), {"x": np.zeros(8)})
    assert parallel.unsynchronised_leaves([key, metrics]) == ["0"]


def _step(devices, batch, *, accumulate=1, clip_norm=None):
    """One step of a small network without batch norm: (change of the weights, metrics)."""
    rules = [optax.clip_by_global_norm(clip_norm)] if clip_norm else []
    rule = optax.chain(*rules, optax.sgd(1.0))

    def loss(networks, batch, key):
        del key
        params, stats = networks["network"]
        hidden = jax.nn.relu(batch["x"][:, None] * params["a"][None])
        error = jnp.square((hidden * params["b"][None]).sum(-1) - batch["y"])
        mean = step.weighted_mean(error, batch["weight"])
        stats = {"seen": stats["seen"] + batch["x"].shape[0]}
        metrics = {"worst": step.weighted_mean(jnp.sqrt(error), batch["weight"])}
        return mean + 1e-2 * jnp.square(params["b"]).sum(), ({"network": stats}, metrics)

    rng = np.random.default_rng(0)
    params = {name: rng.normal(size=4).astype(np.float32) for name in "ab"}
    current = jax.tree.map(jnp.asarray, params)
    current = state.create_single(jax.random.key(1), current, {"seen": jnp.float32(0)}, rule)
    update = parallel.update(
        lambda current, batch: step.gradient_step(
            loss,
            current,
            "main",
            batch,
            rule,
            build={"network": _variables},
            accumulate=accumulate,
        ),  # fmt: skip
        devices=devices,
    )
    after, metrics = update(parallel.replicate(current, devices=devices), batch)
    change = jax.tree.map(lambda new, old: np.asarray(new - old), _network(after).params, params)
    return change, jax.device_get(metrics), float(_network(after).batch_stats["seen"])


@pytest.mark.parametrize("count, accumulate", [(1, 2), (1, 16), (2, 4), (8, 2)])
def test_micro_batches_add_up_to_the_step_of_the_whole_batch(count, accumulate):
    """Also where they carry unequal weight: three of the last examples count nothing."""
    batch = next(_batches(1))
    batch["weight"][:5] = 2.5
    whole, metrics, seen = _step(jax.local_devices()[:count], batch)
    change, others, seen_in_parts = _step(jax.local_devices()[:count], batch, accumulate=accumulate)
    for name in whole:
        np.testing.assert_allclose(change[name], whole[name], rtol=1e-5, atol=1e-6)
    assert set(others) == {"loss", "gradient_norm", "worst"}
    for name in others:
        np.testing.assert_allclose(others[name], metrics[name], rtol=1e-5, err_msg=name)
    assert seen == seen_in_parts == 16 / count  # every micro-batch went by, once


def test_micro_batches_that_do_not_divide_are_refused():
    message = "shard of 8 examples cannot be split into accumulate=3"
    with pytest.raises(ValueError, match=message):
        _step(jax.local_devices()[:2], next(_batches(1)), accumulate=3)


def test_the_gradient_of_the_whole_batch_is_clipped_not_that_of_each_device():
    batch = next(_batches(1))
    free, metrics, _ = _step(jax.local_devices(), batch)
    clipped, shown, _ = _step(jax.local_devices(), batch, clip_norm=0.5)
    norm = metrics["gradient_norm"]
    assert norm > 1 and shown["gradient_norm"] == norm  # shown as it was before
    for name in free:
        np.testing.assert_allclose(clipped[name], free[name] * 0.5 / norm, rtol=1e-5)


def test_devices_and_steps_draw_different_random_numbers():
    _, metrics = _run(jax.local_devices(), 3)
    assert metrics[0]["noise_squared"] - metrics[0]["noise"] ** 2 > 1e-4  # variance over devices
    assert metrics[0]["noise"] != metrics[1]["noise"]


def test_the_average_follows_its_formula():
    current, _ = _run(jax.local_devices()[:1], 2)
    first, _ = _run(jax.local_devices()[:1], 1)
    decay = 1 / 10
    average = (1 - decay) * _network(first).params["w"] + decay * 0.3
    decay = 2 / 11
    np.testing.assert_allclose(
        _network(current).average["w"],
        (1 - decay) * _network(current).params["w"] + decay * average,
        rtol=1e-5,
    )


def test_a_batch_that_does_not_divide_is_refused_by_number():
    with pytest.raises(
        ValueError,
        match="batch of 12 examples cannot be split evenly over 8 devices.*multiple of 8",
    ):
        parallel.update(_toy_update)(parallel.replicate(_start()), next(_batches(1, 12)))
    with pytest.raises(ValueError, match="share one leading axis"):
        parallel.split({"x": np.zeros(4), "y": np.zeros(3)}, 1)

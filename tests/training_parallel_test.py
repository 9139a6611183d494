"""training/: devices, steps, schedules, averages on a toy with batch statistics."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bilateral_jax.training import evaluation, parallel, state, step

_OPTIMIZER = optax.adam(0.05)


def _toy_update(current, batch):
    """Fits y = w x + c, with a running mean of x and noise that must differ between devices."""

    def loss(params, stats, batch, key):
        prediction = params["w"] * batch["x"] + params["c"]
        error = jnp.square(prediction - batch["y"])
        stats = {
            "mean": 0.9 * stats["mean"] + 0.1 * step.weighted_mean(batch["x"], batch["weight"])
        }
        noise = jax.random.uniform(key)
        return step.weighted_mean(error, batch["weight"]), (
            stats,
            {"noise": noise, "noise_squared": noise**2},
        )

    return step.gradient_step(loss, current, batch, _OPTIMIZER, average_decay=0.9)


def _start():
    params = {"w": jnp.float32(0.3), "c": jnp.float32(-1.0)}
    return state.create(jax.random.key(1), params, {"mean": jnp.float32(0.0)}, _OPTIMIZER)


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
    current, losses = parallel.place(_start(), devices=devices), []
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
    np.testing.assert_allclose(alone[0].params["w"], together[0].params["w"], rtol=1e-5)
    np.testing.assert_allclose(
        alone[0].batch_stats["mean"], together[0].batch_stats["mean"], rtol=1e-5
    )
    assert alone[1][0]["loss"] > 2 * alone[1][-1]["loss"]


def test_padding_does_not_count_in_the_loss():
    batch = next(_batches(1))
    expected = np.mean((0.3 * batch["x"] - 1 - batch["y"])[:13] ** 2)
    np.testing.assert_allclose(_run(jax.local_devices(), 1)[1][0]["loss"], expected, rtol=1e-5)


def test_every_replica_holds_the_same_bits():
    current, _ = _run(jax.local_devices(), 3)
    for leaf in jax.tree.leaves(dataclasses.replace(current, key=jax.random.key_data(current.key))):
        copies = [np.asarray(shard.data) for shard in leaf.addressable_shards]
        assert len(copies) == 8
        for copy in copies[1:]:
            np.testing.assert_array_equal(copy, copies[0])


def test_devices_and_steps_draw_different_random_numbers():
    _, metrics = _run(jax.local_devices(), 3)
    assert metrics[0]["noise_squared"] - metrics[0]["noise"] ** 2 > 1e-4  # variance over devices
    assert metrics[0]["noise"] != metrics[1]["noise"]


def test_the_average_follows_its_formula():
    current, _ = _run(jax.local_devices()[:1], 2)
    first, _ = _run(jax.local_devices()[:1], 1)
    decay = 1 / 10
    average = (1 - decay) * first.params["w"] + decay * 0.3
    decay = 2 / 11
    np.testing.assert_allclose(
        current.average["w"], (1 - decay) * current.params["w"] + decay * average, rtol=1e-5
    )


def test_a_batch_that_does_not_divide_is_refused_by_number():
    with pytest.raises(
        ValueError, match="batch of 12 examples cannot be shared evenly by 8 devices.*multiple of 8"
    ):
        parallel.update(_toy_update)(parallel.place(_start()), next(_batches(1, 12)))
    with pytest.raises(ValueError, match="share one leading axis"):
        parallel.split({"x": np.zeros(4), "y": np.zeros(3)}, 1)


@pytest.mark.parametrize("size", [1, 7, 8, 11])
def test_an_average_depends_neither_on_batches_nor_on_devices(size):
    rng = np.random.default_rng(2)
    x, weight = rng.random((22, 5)).astype(np.float32), (rng.random(22) > 0.3).astype(np.float32)
    x[weight == 0] = np.nan
    batches = [{"x": x[k : k + size], "weight": weight[k : k + size]} for k in range(0, 22, size)]
    measure = parallel.per_example(lambda scale, batch: {"sum": scale * batch["x"].sum(-1)})
    got = evaluation.average(lambda batch: measure(np.float32(3), batch), batches)
    np.testing.assert_allclose(
        got["sum"], 3 * x[weight > 0].sum(-1, dtype=np.float64).mean(), rtol=1e-6
    )


def test_an_average_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no example carries weight"):
        evaluation.average(lambda batch: {"a": np.ones(2)}, [{"weight": np.zeros(2)}])
    with pytest.raises(ValueError, match="'a' must be one value per example"):
        evaluation.average(lambda batch: {"a": np.ones(3)}, [{"weight": np.ones(2)}])

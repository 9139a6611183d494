"""Several networks in one state: groups, every n-th step, projections, an image pool, devices."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bilateral_jax.training import (
    image_pool,
    metric_averages,
    nonfinite_guard,
    parallel,
    projections,
    state,
    step,
)
from tests import adversarial_experiment as adversarial

pytestmark = pytest.mark.usefixtures("compiled_quickly")
_STEPS = 12


@functools.cache
def _experiment():
    return adversarial.build(steps=_STEPS)


def _batch(number, size=8):
    rng = np.random.default_rng(number)
    images = rng.random((2, size, adversarial.CROP, adversarial.CROP, 3), np.float32)
    return {"input": images[0], "target": 0.5 * images[1], "weight": np.ones(size, np.float32)}


@functools.cache
def _run(count):
    """States after every step, and the metrics, on some devices."""
    devices = jax.local_devices()[:count]
    update = parallel.update(nonfinite_guard.update(_experiment().update), devices=devices)
    current = nonfinite_guard.start(_experiment().init(jax.random.key(0)), allowed=0)
    current, states, shown = parallel.replicate(current, devices=devices), [], []
    for number in range(_STEPS):
        current, metrics = update(current, _batch(number))
        assert parallel.unsynchronised_leaves([current, metrics]) == []
        states.append(jax.device_get(current.state))
        shown.append(jax.device_get(metrics))
    return states, shown


def _close(one, other, **tolerance):
    for (path, x), y in zip(
        jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True
    ):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_allclose(x, y, err_msg=jax.tree_util.keystr(path), **tolerance)


def test_one_device_and_eight_train_the_same_networks():
    (one, alone), (eight, together) = _run(1), _run(8)
    _close(one[-1], eight[-1], rtol=1e-4, atol=2e-5)
    _close(alone, together, rtol=1e-3, atol=2e-5)


def test_the_weights_of_the_penalties_adapt_alike_on_one_device_and_on_eight():
    weights = [
        [[float(metrics[f"weight_{name}"]) for metrics in _run(count)[1]] for name in ("DX", "DY")]
        for count in (1, 8)
    ]
    assert weights[0] == weights[1]
    # The first update does not count; then the cooldown lets every third one double.
    expected = [0.01 * 2 ** ((number + 2) // 3) for number in range(_STEPS)]
    np.testing.assert_allclose(weights[0], [expected] * 2, rtol=1e-6)


def test_generators_are_updated_every_fifth_step():
    states, _ = _run(1)
    before = jax.device_get(_experiment().init(jax.random.key(0)))
    for number, after in enumerate(states, 1):
        same = np.array_equal(*(x.networks["G"].params["matrix"] for x in (before, after)))
        assert same == (number % adversarial.PERIOD != 0)
        assert after.step == number and after.groups["critics"].updates == number
        assert after.groups["generators"].updates == number // adversarial.PERIOD
        before = after


def test_a_metric_of_every_fifth_step_is_averaged_over_those_steps():
    _, shown = _run(1)
    averages = metric_averages.MetricAverages()
    for metrics in shown:
        assert averages.add(metrics) == []
        saved = averages.get_state()
        averages = metric_averages.MetricAverages()
        averages.set_state(saved)
    line = averages.take()
    cycles = [float(metrics["cycle"].value) for metrics in shown if metrics["cycle"].count]
    assert len(cycles) == 2 and max(cycles) > 0
    np.testing.assert_allclose(line["cycle"], np.mean(cycles), rtol=1e-6)
    losses = [float(metrics["critic_loss"]) for metrics in shown]
    np.testing.assert_allclose(line["critic_loss"], np.mean(losses), rtol=1e-6)


def test_a_value_present_once_in_fifty_steps_is_shown_as_itself():
    averages = metric_averages.MetricAverages()
    for number in range(50):
        present = number == 30
        averages.add({"loss": 1.0, "rare": step.Counted(7.0 * present, 1.0 * present)})
    assert averages.shown["rare"] == 7.0
    assert averages.take() == {"loss": 1.0, "rare": 7.0}
    averages.add({"loss": 1.0, "rare": step.Counted(0.0, 0.0)})
    assert averages.take() == {"loss": 1.0}  # nothing to tell: no number is made up
    assert averages.add({"rare": step.Counted(np.nan, 1.0)}) == ["rare"]


def test_averages_saved_before_metrics_had_counts_are_continued():
    averages = metric_averages.MetricAverages()
    averages.set_state({"sums": {"loss": 6.0}, "count": 3, "skips": 0, "skipped": 1})
    averages.add({"loss": 4.0})
    assert averages.take() == {"loss": 2.5} and averages.skipped == 1


def test_projections_stay_orthonormal():
    for after in _run(8)[0]:
        for name in ("DX", "DY"):
            projection = after.networks[name].params["projection"]
            np.testing.assert_allclose(projection.T @ projection, np.eye(3), atol=5e-6)
    first, last = (_run(8)[0][k].networks["DX"].params for k in (0, -1))
    assert np.abs(first["projection"] - last["projection"]).max() > 1e-3
    assert np.linalg.norm(last["head"]) != pytest.approx(1, abs=1e-3)  # masked out


def test_orthonormal_columns():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(4, 6, 3)).astype(np.float32)
    q = projections.orthonormal_columns(matrix)
    np.testing.assert_allclose(
        np.einsum("bij,bik->bjk", q, q), np.tile(np.eye(3), (4, 1, 1)), atol=1e-5
    )
    np.testing.assert_allclose(projections.orthonormal_columns(q), q, atol=1e-5)
    with pytest.raises(ValueError, match=r"matrix must be \[..., m, n\] with m >= n.*\(2, 3\)"):
        projections.orthonormal_columns(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="a projection needs the weights"):
        rule = projections.after_update(projections.orthonormal_columns)
        rule.update({"w": matrix}, rule.init({"w": matrix}))


def test_the_pool_keeps_images_and_gives_earlier_ones_back():
    """Filled first; then about half of the images are exchanged; on one device and on eight."""
    images = np.arange(64, dtype=np.float32).reshape(64, 1, 1, 1)

    def function(pool, batch):
        pool, earlier = image_pool.exchange(jax.random.key(3), pool, batch["x"])
        return pool, {"earlier": parallel.gather(earlier)}

    results = []
    for count in (1, 8):
        devices = jax.local_devices()[:count]
        pool = parallel.replicate(image_pool.create(16, (1, 1, 1)), devices=devices)
        update = parallel.update(function, devices=devices)
        pool, metrics = update(pool, {"x": images})
        assert parallel.unsynchronised_leaves(pool) == []
        results.append(jax.device_get((pool, metrics["earlier"])))
    _close(*results)
    pool, earlier = results[0]
    assert pool.count == 16
    np.testing.assert_array_equal(earlier[:16], images[:16])  # while it is filled
    swapped = earlier[16:] != images[16:]
    assert 12 <= swapped.sum() <= 36 and (earlier[16:][swapped] < images[16:][swapped]).all()
    everything = np.concatenate([earlier.ravel(), pool.images.ravel()])
    assert set(everything) == set(images.ravel())


def test_what_a_pool_cannot_hold_is_named():
    with pytest.raises(ValueError, match="size must be a positive int, got 0"):
        image_pool.create(0, (2, 2, 3))
    with pytest.raises(ValueError, match=r"three positive ints \(h, w, c\), got \(2, 2\)"):
        image_pool.create(1, (2, 2))
    with pytest.raises(TypeError, match="dtype must be floating point, got uint8"):
        image_pool.create(1, (2, 2, 3), dtype=jnp.uint8)
    pool, images = image_pool.create(1, (2, 2, 3)), jnp.zeros((4, 2, 2, 3))
    with pytest.raises(ValueError, match=r"images must be .*got \(4, 1, 1, 3\)"):
        image_pool.exchange(jax.random.key(0), pool, images[:, :1, :1])
    with pytest.raises(TypeError, match="images must be floating point, got uint8"):
        image_pool.exchange(jax.random.key(0), pool, images.astype(jnp.uint8))
    with pytest.raises(ValueError, match=r"probability must be in \[0, 1\], got 2"):
        image_pool.exchange(jax.random.key(0), pool, images, probability=2)


def test_a_part_of_an_update_may_be_skipped():
    current = state.create(jax.random.key(0), {}, extra={"count": jnp.int32(0)})

    def take(current):
        return current.replace(extra={"count": current.extra["count"] + 1}), {
            "count": jnp.float32(1)
        }

    counts = []
    for number in range(7):
        after, metrics = step.every(3, current.replace(step=jnp.int32(number)), take)
        counts.append((int(after.extra["count"]), float(metrics["count"].count)))
    assert counts == [(0, 0), (0, 0), (1, 1), (0, 0), (0, 0), (1, 1), (0, 0)]


def test_names_of_networks_are_unique():
    group = state.create_group({"G": state.create_network({"w": jnp.ones(2)})}, optax.sgd(1.0))
    with pytest.raises(ValueError, match=r"different names, got \['G', 'G'\]"):
        state.create(jax.random.key(0), {"one": group, "two": group})


def test_an_update_that_is_not_finite_changes_no_group():
    experiment = _experiment()
    update = parallel.update(nonfinite_guard.update(experiment.update))
    start = experiment.init(jax.random.key(0))
    bad = _batch(0)
    bad["input"][0, 0, 0, 0] = np.nan
    guarded = parallel.replicate(nonfinite_guard.start(jax.tree.map(_copy, start), allowed=1))
    after, metrics = update(guarded, bad)
    assert float(metrics["skipped"]) == 1
    after = jax.device_get(after.state)
    assert after.step == 1
    _close(dataclasses.replace(after, step=start.step), start, atol=0)


def _copy(leaf):
    return (
        jax.random.clone(leaf)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        else jnp.array(leaf)
    )


def test_leaves_of_the_earlier_layout_are_renamed():
    conv = ("conv", "kernel")
    old = {
        ("step",): 7, ("key",): 1, ("params", *conv): 2, ("average", *conv): 3,
        ("batch_stats", "mean"): 4, ("opt_state", "1", "mu", *conv): 5,
        ("opt_state", "1", "count"): 6,
    }  # fmt: skip
    network = ("groups", "main", "networks", "network")
    assert state.from_earlier_layout(old) == {
        ("step",): 7, ("key",): 1, ("groups", "main", "updates"): 7,
        (*network, "params", *conv): 2, (*network, "average", *conv): 3,
        (*network, "batch_stats", "mean"): 4,
        ("groups", "main", "opt_state", "1", "mu", "network", *conv): 5,
        ("groups", "main", "opt_state", "1", "count"): 6,
    }  # fmt: skip
    new = state.from_earlier_layout(old)
    assert state.from_earlier_layout(new) is new

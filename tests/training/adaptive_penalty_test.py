"""The adaptive weight of a critic's gradient penalty: when it changes, on all devices, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax.training import adaptive_penalty, nonfinite_guard, parallel, state

pytestmark = pytest.mark.usefixtures("compiled_quickly")


def run(penalties, *, count=1, weight=10.0, **options):
    """The weight after every update, and the last state; penalties `[updates, examples]`."""
    devices = jax.local_devices()[:count]

    def function(current, batch):
        after = adaptive_penalty.update(current, batch["penalty"].mean(), **options)
        return after, {"weight": after.weight}

    update = parallel.update(function, devices=devices)
    current, weights = adaptive_penalty.create(weight=weight), []
    current = parallel.replicate(current, devices=devices)
    for penalty in penalties:
        current, metrics = update(current, {"penalty": np.asarray(penalty, np.float32)})
        weights.append(float(metrics["weight"]))
    assert parallel.unsynchronised_leaves(current) == []
    return weights, jax.device_get(current)


def changes(weights, start=10.0):
    """{number of the update: the new weight}; the first update, which does not count, is 0."""
    steps = zip([start, *weights], weights, strict=False)
    return {number: new for number, (old, new) in enumerate(steps) if new != old}


def by_the_equations(penalties, *, lower_bound=None, factor=2.0, cooldown=50):
    """The weights in float64, as the papers state the rule."""
    weight, average, wait, weights = 10.0, 0.0, 0, []
    for number, penalty in enumerate(penalties):
        if number:
            average = 0.99 * average + 0.01 * penalty
            low = lower_bound is not None and average < lower_bound and number >= cooldown
            if wait == 0 and (average > 0.05 or low):
                weight = weight * factor if average > 0.05 else weight / factor
                average, wait = 0.0, cooldown
            wait = max(wait - 1, 0)
        weights.append(weight)
    return weights


def test_a_constant_penalty_doubles_the_weight_at_the_29th_and_the_79th_update():
    weights, last = run(np.full((131, 1), 0.2))
    assert changes(weights) == {29: 20, 79: 40, 129: 80}
    assert last.updates == 131 and last.cooldown == 48


def test_the_first_update_does_not_count():
    weights, last = run([[1e6], [0.1], [0.1]])
    assert changes(weights) == {}
    np.testing.assert_allclose(last.average, 0.1 * (1 - 0.99**2), rtol=1e-5)


def test_a_small_penalty_halves_the_weight_where_that_is_asked_for():
    penalties = np.full((151, 1), 1e-4)
    assert changes(run(penalties)[0]) == {}
    weights, _ = run(penalties, lower_bound=1e-3)
    assert changes(weights) == {50: 5, 100: 2.5, 150: 1.25}
    # Between the bounds nothing changes, however long.
    assert changes(run(np.full((151, 1), 0.02), lower_bound=1e-3)[0]) == {}


def test_other_options():
    penalties = np.random.default_rng(0).exponential(0.4, size=120)
    penalties[40:90] *= 1e-3
    for options in ({"factor": 3.0, "cooldown": 7}, {"lower_bound": 0.01, "cooldown": 10}):
        weights, _ = run(penalties[:, None], **options)
        np.testing.assert_allclose(weights, by_the_equations(penalties, **options), rtol=1e-6)
        assert len(set(weights)) >= 3  # so that something was compared
    assert changes(run(np.full((3, 1), 9.0), cooldown=0)[0]) == {1: 20, 2: 40}


def test_one_device_and_eight_adapt_alike():
    """The mean over devices counts: one example of eight has all of the penalty."""
    penalties = np.zeros((35, 8))
    penalties[:, 3] = 1.6
    (alone, one), (together, eight) = run(penalties), run(penalties, count=8)
    assert changes(alone) == changes(together) == {29: 20}
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(eight), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6)


def test_a_skipped_step_leaves_it_alone():
    def function(current, batch):
        penalty = batch["penalty"].mean()
        adapted = adaptive_penalty.update(current.extra["penalty"], penalty)
        current = current.replace(step=current.step + 1, extra={"penalty": adapted})
        return current, {"penalty": parallel.mean(penalty)}

    start = state.create(jax.random.key(0), {}, extra={"penalty": adaptive_penalty.create()})
    update = parallel.update(nonfinite_guard.update(function))
    current = parallel.replicate(nonfinite_guard.start(start, allowed=5))
    averages = []
    for value in (0.1, 0.1, np.nan, 0.1):
        current, _ = update(current, {"penalty": np.full(8, value, np.float32)})
        averages.append(float(current.state.extra["penalty"].average))
    assert averages[1] == averages[2] > 0 and current.state.extra["penalty"].updates == 3
    np.testing.assert_allclose(averages[3], 0.1 * (1 - 0.99**2), rtol=1e-5)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"bound": 0.0}, "bound must be positive and finite, got 0.0"),
        ({"bound": None}, "bound must be positive and finite, got None"),
        ({"decay": "a"}, r"decay must be in \[0, 1\), got 'a'"),
        ({"factor": float("inf")}, "factor must be above 1 and finite, got inf"),
        ({"decay": 1.0}, r"decay must be in \[0, 1\), got 1.0"),
        ({"factor": 1.0}, "factor must be above 1 and finite, got 1.0"),
        ({"cooldown": 2.5}, "cooldown must be an int of at least 0, got 2.5"),
        ({"cooldown": -1}, "cooldown must be an int of at least 0, got -1"),
        ({"lower_bound": 0.05}, "lower_bound must be between 0 and bound = 0.05, or None, got"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        adaptive_penalty.update(adaptive_penalty.create(), jnp.float32(0), **options)


def test_other_bad_input():
    for weight in (0, float("inf"), float("nan"), None, "a", True):
        with pytest.raises(ValueError, match=f"weight must be positive and finite, got {weight!r}"):
            adaptive_penalty.create(weight=weight)
    with pytest.raises(ValueError, match=r"penalty must be a scalar, .*got shape \(4,\)"):
        adaptive_penalty.update(adaptive_penalty.create(), jnp.zeros(4))

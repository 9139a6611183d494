"""training/schedules.py: learning rates and optimisers by name."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bilateral_jax.training import schedules

# name, options, {step: rate} of 100 steps from a peak of 1
_CORNERS = [
    ("constant", {}, {0: 1, 100: 1}),
    ("linear", {"final": 0.1}, {0: 1, 50: 0.55, 100: 0.1, 130: 0.1}),
    ("linear", {"final": 0.2, "hold": 0.5}, {0: 1, 50: 1, 75: 0.6, 100: 0.2, 130: 0.2}),
    ("cosine", {"final": 0.1}, {0: 1, 50: 0.55, 100: 0.1, 130: 0.1}),
    ("polynomial", {"final": 0.2}, {0: 1, 50: 0.4, 100: 0.2}),
    ("polynomial", {"power": 3}, {0: 1, 50: 0.125, 100: 0}),
    ("exponential", {"final": 0.01}, {0: 1, 50: 0.1, 100: 0.01, 130: 0.01}),
    ("inverse_sqrt", {"knee": 20}, {0: 1, 60: 0.5, 160: 1 / 3}),
    ("inverse_time", {"decay": 0.04}, {0: 1, 25: 0.5, 75: 0.25, 225: 0.1}),
    ("step", {"boundaries": (0.5, 0.75)}, {0: 1, 49: 1, 51: 0.1, 74: 0.1, 76: 0.01}),
    ("step", {"boundaries": (0.3,), "factor": 0.5}, {29: 1, 31: 0.5, 100: 0.5}),
    ("cosine_restarts", {"periods": 2, "final": 0.2}, {0: 1, 25: 0.6, 50: 1, 75: 0.6, 100: 0.2}),
    ("one_cycle", {"final": 0.01}, {0: 0.04, 15: 0.52, 30: 1, 65: 0.505, 100: 0.01}),
    ("one_cycle", {"rise": 0.5, "start_divisor": 10}, {0: 0.1, 25: 0.55, 50: 1, 75: 0.5, 100: 0}),
]


@pytest.mark.parametrize("name, options, corners", _CORNERS)
def test_schedules_pass_through_their_corners(name, options, corners):
    rate = schedules.learning_rate(name, peak=1.0, steps=100, **options)
    steps = np.array(sorted(corners))
    expected = [corners[step] for step in steps]
    np.testing.assert_allclose([rate(step) for step in steps], expected, atol=1e-6)
    # as the optimiser calls it: with a traced step
    np.testing.assert_allclose(jax.jit(jax.vmap(rate))(jnp.asarray(steps)), expected, atol=1e-6)


def test_every_schedule_has_its_corners_tested():
    assert {name for name, *_ in _CORNERS} == set(schedules._SCHEDULES)


@pytest.mark.parametrize("name", ["cosine", "step", "exponential"])
def test_a_warm_up_comes_first_and_the_rest_ends_in_time(name):
    options = {"boundaries": (0.5,)} if name == "step" else {"final": 0.1}
    rate = schedules.learning_rate(name, peak=1.0, steps=110, warmup=10, **options)
    np.testing.assert_allclose([rate(0), rate(5), rate(10)], [0, 0.5, 1], atol=1e-6)
    np.testing.assert_allclose(rate(110), 0.1, atol=1e-6)
    assert rate(59) > 0.3


def _rule(name, **options):
    decay = {"weight_decay": 0.5} if name == "adamw" else {}
    return schedules.optimizer(name, 0.1, **{**decay, **options})


@pytest.mark.parametrize("name", sorted(schedules._RULES))
def test_optimizers_go_downhill(name):
    params = {"kernel": jnp.full(3, 2.0), "bias": jnp.full(3, 2.0)}
    rule = _rule(name, clip_norm=100.0)
    opt_state, start = rule.init(params), params
    for _ in range(3):
        change, opt_state = rule.update(params, opt_state, params)  # of the squares of the params
        params = optax.apply_updates(params, change)
    for before, after in zip(jax.tree.leaves(start), jax.tree.leaves(params), strict=True):
        assert (np.abs(after) < np.abs(before)).all()


@pytest.mark.parametrize("name", ["adamw", "lion", "sgd"])
def test_weight_decay_is_decoupled_and_acts_where_the_mask_allows(name):
    params = {"kernel": jnp.ones(3), "bias": jnp.ones(3)}
    mask = {"kernel": True, "bias": False}
    rule = _rule(name, weight_decay=0.5, decay_mask=lambda tree: mask)
    change, _ = rule.update(jax.tree.map(jnp.zeros_like, params), rule.init(params), params)
    np.testing.assert_allclose(change["kernel"], -0.05, rtol=1e-6)
    np.testing.assert_array_equal(change["bias"], 0)


def test_names_mean_what_they_mean_elsewhere():
    params, gradient = {"w": jnp.array([1.0, -2.0])}, {"w": jnp.array([0.5, 3.0])}
    for name, same in {
        "adamw": optax.adamw(0.1, weight_decay=0.5),
        "momentum": optax.sgd(0.1, momentum=0.9),
        "nadam": optax.nadam(0.1),
        "lamb": optax.lamb(0.1),
    }.items():
        rule = _rule(name)
        first, second, states = (
            params,
            params,
            [rule.init(params), same.init(params)],
        )
        for _ in range(3):
            change, states[0] = rule.update(gradient, states[0], first)
            first = optax.apply_updates(first, change)
            change, states[1] = same.update(gradient, states[1], second)
            second = optax.apply_updates(second, change)
        np.testing.assert_allclose(first["w"], second["w"], rtol=1e-4, err_msg=name)


def test_the_gradient_is_cut_to_the_largest_norm():
    rule = schedules.optimizer("sgd", 1.0, clip_norm=2.0)
    change, _ = rule.update({"w": jnp.array([30.0, 40.0])}, rule.init({"w": jnp.zeros(2)}))
    np.testing.assert_allclose(change["w"], [-1.2, -1.6], rtol=1e-6)


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("stairs", {}, "unknown schedule 'stairs'.*'cosine'"),
        ("cosine", {"warmup": 5}, "warmup 5 and steps 5"),
        ("cosine", {"final": 2.0}, "final 2.0 and peak 1.0"),
        ("constant", {"final": 0.5}, "'constant' has no final value, got 0.5"),
        ("step", {"boundaries": (0.5,), "final": 0.5}, "'step' has no final value"),
        ("exponential", {}, "final value above 0, got 0.0"),
        ("step", {"boundaries": (0.6, 0.4)}, r"boundaries must.*\(0.6, 0.4\)"),
        ("step", {"boundaries": (10,)}, r"boundaries must.*got \(10,\)"),
        ("inverse_sqrt", {"knee": 0}, "knee must"),
        ("cosine_restarts", {"periods": 9}, "periods must.*got 9 in 5 steps"),
        ("one_cycle", {"warmup": 2}, "takes no warmup, got 2"),
        ("one_cycle", {"rise": 1.5}, "rise between 0 and 1"),
    ],
)
def test_schedules_that_make_no_sense_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        schedules.learning_rate(name, peak=1.0, steps=5, **options)


def test_unknown_and_missing_options_are_named():
    with pytest.raises(TypeError, match="power"):
        schedules.learning_rate("cosine", peak=1.0, steps=5, power=3)
    with pytest.raises(TypeError, match="boundaries"):
        schedules.learning_rate("step", peak=1.0, steps=5)
    with pytest.raises(ValueError, match="unknown optimizer 'newton'.*'adam'"):
        schedules.optimizer("newton", 0.1)
    with pytest.raises(ValueError, match="adamw without a weight_decay is adam"):
        schedules.optimizer("adamw", 0.1)
    for name, value in (("clip_norm", -1.0), ("clip_norm", 0.0), ("weight_decay", -0.1)):
        with pytest.raises(ValueError, match=f"{name} must be .*, got {value}"):
            schedules.optimizer("adam", 0.1, **{name: value})
    for peak in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"the peak of learning_rate must be .* got {peak}"):
            schedules.learning_rate("constant", peak=peak, steps=5)
    with pytest.raises(TypeError, match="momentum"):
        schedules.optimizer("adam", 0.1, momentum=0.9)

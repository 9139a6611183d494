"""The watch over a generator: what counts as a collapse, restarts, the stop and its message."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bilateral_jax.training import loop, parallel, state, step, watchdog

_RULE = optax.sgd(0.1)


def init(key, watch):
    network = state.create_network({"x": jax.random.normal(key, (3,))})
    extra = {"watchdog": watch.start(), "other": jnp.float32(1)}
    group = state.create_group({"G": network}, _RULE)
    return state.create(jax.random.key(5), {"generators": group}, extra=extra)


def run(watch, values, devices=1):
    """The states after updates whose PSNR have these values, and their metrics."""

    def update(current, batch):
        psnr = parallel.mean(batch["psnr"].mean())
        current = current.replace(extra=current.extra | {"other": current.extra["other"] + 1})
        current, metrics = watch.update(current, psnr, init=lambda key: init(key, watch))
        return step.finish_step(current), metrics | {"input_psnr": psnr}

    devices = jax.local_devices()[:devices]
    taken = parallel.update(update, devices=devices)
    current = parallel.replicate(init(jax.random.key(0), watch), devices=devices)
    states, shown = [], []
    for value in values:
        current, metrics = taken(current, {"psnr": np.full(8, value, np.float32)})
        states.append(jax.tree.map(np.asarray, current.replace(key=None)))
        shown.append({name: float(x) for name, x in metrics.items()})
    return states, shown


def weights(state):
    return state.networks["G"].params["x"]


def test_only_low_steps_in_a_row_are_a_collapse():
    watch = watchdog.Watchdog(below=10.0, patience=3, restarts=0)
    states, shown = run(watch, [9, 9, 11, 9, 9, 9, 9, 20])
    assert [each["collapsed"] for each in shown] == [0, 0, 0, 0, 0, 1, 1, 0]
    assert [int(each.extra["watchdog"]["low"]) for each in states][:6] == [1, 2, 0, 1, 2, 3]
    np.testing.assert_array_equal(weights(states[-1]), weights(states[0]))


@pytest.mark.parametrize("devices", [1, 8])
def test_a_restart_draws_new_weights_and_goes_on(devices):
    watch = watchdog.Watchdog(below=10.0, patience=2, restarts=2)
    states, shown = run(watch, [9] * 6, devices)
    assert [each["restarted"] for each in shown] == [0, 1, 0, 1, 0, 0]
    assert [each["restarts"] for each in shown] == [0, 1, 1, 2, 2, 2]
    assert [each["collapsed"] for each in shown] == [0, 0, 0, 0, 0, 1]
    first, second, third = (weights(states[i]) for i in (0, 1, 3))
    assert np.abs(first - second).max() > 0.1 and np.abs(second - third).max() > 0.1
    assert [int(each.step) for each in states] == [1, 2, 3, 4, 5, 6]
    # Other arrays of the experiment begin anew, too: here 1, and one more with every step.
    assert [float(each.extra["other"]) for each in states] == [2, 1, 2, 1, 2, 3]


def test_a_resumed_run_restarts_with_the_same_weights():
    watch = watchdog.Watchdog(below=10.0, patience=2, restarts=1)
    one, _ = run(watch, [9, 9])
    other, _ = run(watch, [11, 9, 9])
    np.testing.assert_array_equal(weights(one[-1]), weights(other[-1]))  # of the count alone


def test_without_patience_nothing_is_watched():
    watch = watchdog.Watchdog(below=10.0, patience=0, restarts=1)
    current = init(jax.random.key(0), watch)
    same, metrics = watch.update(current, jnp.float32(1), init=None)
    assert same is current and metrics == {}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"restarts": -2}, "patience and restarts must be ints of at least 0, got 1 and -2"),
        ({"patience": 1.5}, "patience and restarts must be ints .*, got 1.5 and 0"),
        ({"patience": True}, "patience and restarts must be ints .*, got True and 0"),
        ({"restarts": None}, "patience and restarts must be ints .*, got 1 and None"),
        ({"below": float("nan")}, "below must be a finite number of dB, got nan"),
        ({"below": "low"}, "below must be a finite number of dB, got 'low'"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        watchdog.Watchdog(**{"below": 10.0, "patience": 1, "restarts": 0} | options)


def test_the_loop_logs_restarts_and_stops_at_the_collapse(caplog):
    watch = watchdog.Watchdog(below=10.0, patience=2, restarts=1)
    rows = run(watch, [9, 8, 7, 6, 5])[1]
    saved = []
    with caplog.at_level(logging.WARNING), pytest.raises(watchdog.CollapseError) as caught:
        loop.fit(
            lambda state, batch: (state + 1, rows[batch]), 0, iter(range(5)), first=0, last=5,
            log=lambda step, values: None, check=watch.check("input_psnr"), progress=False,
            hooks=[loop.Hook(1, lambda step, state: saved.append(step))],
        )  # fmt: skip
    assert "step 2: the output has been less than 10 dB from the input for 2 steps" in caplog.text
    assert "input_psnr is now 8.00 dB: restarted from new weights, restart 1 of at most 1" in (
        caplog.text
    )
    assert "step 4: " in str(caught.value) and "now 6.00 dB" in str(caught.value)
    assert "after 1 restarts and stops" in str(caught.value) and saved == [1, 2, 3]

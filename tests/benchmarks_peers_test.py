"""A baseline that computes something else would be no baseline."""

import json

import jax
import jax.numpy as jnp
import numpy as np

import bilateral_jax as bj
from benchmarks import peers, slice_apply, timing


def operands():
    rng = np.random.default_rng(0)
    # Guides away from cell centres, where the original's smoothed tent differs by up to 1e-4.
    guide = (rng.integers(0, 4, (20, 30)) + rng.uniform(0.6, 1.4, (20, 30))) / 5
    arrays = (rng.normal(size=(4, 3, 5, 3, 4)), guide, rng.uniform(size=(20, 30, 3)))
    return tuple(jnp.asarray(array, jnp.float32) for array in arrays)


def test_google_maths_and_its_derivatives_agree_with_ours():
    grid, guide, image = operands()
    cotangent = jnp.asarray(np.random.default_rng(1).normal(size=image.shape), jnp.float32)

    def everything(function):
        out, pullback = jax.vjp(function, grid, guide, image)
        return out, *pullback(cotangent)

    theirs = jax.jit(lambda: everything(peers.google_slice_apply))()
    ours = jax.jit(lambda: everything(bj.slice_apply))()
    for actual, expected in zip(theirs, ours, strict=True):
        scale = float(jnp.abs(expected).max())
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * scale)


def test_a_measurement_becomes_a_row_of_the_table():
    arguments = slice_apply.operands(16, 24)
    candidates = {
        name: slice_apply.forward(function)
        for name, function in slice_apply.implementations().items()
    }
    measured = timing.measure(candidates, arguments, rounds=2)
    rows = [m.summary(measured["xla"]) for m in measured.values()]
    assert [row["implementation"] for row in rows] == ["xla", "reference", "google"]
    assert rows[0]["cpu_ratio"] == [1, 1, 1]
    assert all(len(m.wall) == 2 and min(m.wall) > 0 for m in measured.values())
    json.dumps(rows)
    line = slice_apply.describe({"size": "tiny", "task": "forward"} | rows[1], 16 * 24)
    assert "reference" in line


def test_too_large_a_candidate_is_skipped_with_the_reason(monkeypatch):
    monkeypatch.setattr(timing, "_memory_limit", lambda: -1)
    measured = timing.measure({"sort": jnp.sort}, (jnp.arange(1000.0)[::-1],), rounds=1)
    assert "memory" in measured["sort"].summary()["skipped"]

"""training/evaluation.py: the same bits for any batch size, number of devices and of processes."""

import fractions
import json

import jax
import numpy as np
import pytest

from bilateral_jax.training import evaluation, parallel

_VALUES = np.random.default_rng(0).lognormal(sigma=8, size=(37, 2))  # sizes that lose digits
_VALUES[::5] *= -1
_WEIGHTS = np.random.default_rng(1).choice([0.0, 0.25, 1.0, 3.0], 37)


def _batches(size, positions=range(37)):
    chosen = np.array(positions, int)
    for k in range(0, len(chosen), size):
        part = chosen[k : k + size]
        yield {"x": _VALUES[part], "weight": _WEIGHTS[part]}


def _measure(batch):
    return {"first": batch["x"][:, 0], "second": batch["x"][:, 1]}


def _together(shards):
    """Every process's average, each seeing the others' sums as JSON brings them."""
    told, results = [], []

    def note(value):
        told.append(json.dumps(value))
        return [value]

    for shard in shards:
        try:
            evaluation.average(_measure, shard(), gather=note)
        except ValueError as error:
            assert "no example carries weight" in str(error)  # alone, it would have nothing
    gathered = [json.loads(value) for value in told]
    for shard in shards:
        results.append(evaluation.average(_measure, shard(), gather=lambda value: gathered))
    return results


def _exact():
    weights = [fractions.Fraction(w) for w in _WEIGHTS.tolist()]
    return {
        name: float(
            sum(fractions.Fraction(v) * w for v, w in zip(_VALUES[:, k].tolist(), weights))
            / sum(weights)
        )
        for k, name in enumerate(("first", "second"))
    }


def test_the_mean_is_the_same_bits_for_every_batch_size():
    expected = _exact()
    weighted = _VALUES[:, 0] * _WEIGHTS
    plain = {sum(weighted[k : k + n].sum() for k in range(0, 37, n)) for n in range(1, 38)}
    assert len(plain) > 1  # ordinary sums do depend on it
    for size in range(1, 39):
        assert evaluation.average(_measure, _batches(size)) == expected, size


@pytest.mark.parametrize("count", [1, 2, 3, 40])  # of 40 processes, some have no example
def test_the_mean_is_the_same_bits_for_every_number_of_processes(count):
    shards = [lambda index=index: _batches(4, range(index, 37, count)) for index in range(count)]
    assert _together(shards) == [_exact()] * count


@pytest.mark.parametrize("count", [1, 8])
def test_the_mean_does_not_depend_on_the_number_of_devices(count):
    rng = np.random.default_rng(2)
    x, weight = rng.random((21, 6, 5, 3), np.float32), (rng.random(21) > 0.3).astype(np.float32)
    x[weight == 0] = np.nan
    measure = parallel.per_example(
        lambda scale, batch: {"mean": scale * batch["x"].mean((1, 2, 3))},
        devices=jax.local_devices()[:count],
    )
    results = [
        evaluation.average(
            lambda batch: measure(np.float32(3), batch),
            [{"x": x[k : k + n], "weight": weight[k : k + n]} for k in range(0, 21, n)],
        )["mean"]
        for n in (1, 4, 8, 21)
    ]
    # float32 values of an example may differ in the last bit between programs; their sum adds none.
    expected = 3 * x[weight > 0].mean((1, 2, 3), dtype=np.float64).mean()
    np.testing.assert_allclose(results, expected, rtol=1e-6)
    np.testing.assert_allclose(results, results[0], rtol=1e-7)


def test_padding_is_ignored_and_infinity_is_not():
    values = np.array([1.0, np.nan, 3.0, np.inf])
    average = evaluation.average(
        lambda batch: {"a": batch["a"]}, [{"a": values, "weight": np.array([1, 0, 3, 0])}]
    )
    assert average == {"a": 2.5}
    assert evaluation.average(lambda batch: batch, [{"a": values[2:]}]) == {"a": np.inf}
    assert np.isnan(evaluation.average(lambda batch: batch, [{"a": values}])["a"])
    opposite = evaluation.average(lambda batch: batch, [{"a": [np.inf]}, {"a": [-np.inf, 1.0]}])
    assert np.isnan(opposite["a"])


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="no example carries weight"):
        evaluation.average(lambda batch: {"a": np.ones(2)}, [{"weight": np.zeros(2)}])
    with pytest.raises(ValueError, match="no example carries weight"):
        evaluation.average(lambda batch: {"a": np.ones(2)}, [])
    with pytest.raises(ValueError, match="'a' must be one value per example"):
        evaluation.average(lambda batch: {"a": np.ones(3)}, [{"weight": np.ones(2)}])
    with pytest.raises(ValueError, match="'a' must be one value per example"):
        evaluation.average(lambda batch: {"a": np.ones((2, 2))}, [{}])
    with pytest.raises(ValueError, match="weights must be finite and at least 0"):
        evaluation.average(lambda batch: {"a": np.ones(2)}, [{"weight": np.array([1, -1])}])
    with pytest.raises(ValueError, match=r"same metrics, got \['b'\] after \['a'\]"):
        evaluation.average(lambda batch: batch, [{"a": np.ones(2)}, {"b": np.ones(2)}])
    with pytest.raises(ValueError, match="no metric"):
        evaluation.average(lambda batch: {}, [{"weight": np.ones(1)}])

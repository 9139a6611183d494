"""training/evaluation.py: the same bits for any batch size and number of processes."""

import fractions
import json

import numpy as np
import pytest

from bilateral_jax.training import evaluation

_VALUES = np.random.default_rng(0).lognormal(sigma=8, size=(37, 2))  # sizes that lose digits
_VALUES[::5] *= -1
_WEIGHTS = np.random.default_rng(1).choice([0.0, 0.25, 1.0, 3.0], 37)


def _filled(size, positions=range(37)):
    chosen, means = np.array(positions, int), evaluation.WeightedMeans()
    for k in range(0, len(chosen), size):
        part = chosen[k : k + size]
        means.add({"first": _VALUES[part, 0], "second": _VALUES[part, 1]}, _WEIGHTS[part])
    return means


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
    expected = _filled(37).means()
    weighted = _VALUES[:, 0] * _WEIGHTS
    plain = {sum(weighted[k : k + n].sum() for k in range(0, 37, n)) for n in range(1, 38)}
    assert len(plain) > 1  # ordinary sums do depend on it
    for size in range(1, 39):
        assert _filled(size).means() == expected, size
    for name, value in _exact().items():
        np.testing.assert_allclose(expected[name], value, rtol=1e-14)


@pytest.mark.parametrize("count", [1, 2, 3, 40])  # of 40 processes, some have no example
def test_the_mean_is_the_same_bits_for_every_number_of_processes(count):
    shards, records = [_filled(4, range(index, 37, count)) for index in range(count)], []

    def note(value):
        records.append(json.loads(json.dumps(value)))
        return [value]

    for shard in shards:
        try:
            shard.means(gather=note)
        except ValueError as error:
            assert "no example carries weight" in str(error)  # alone, it would have nothing
    expected = _filled(37).means()
    assert [shard.means(gather=lambda value: records) for shard in shards] == [expected] * count


def _mean(*batches):
    means = evaluation.WeightedMeans()
    for values, *weights in batches:
        means.add(values, *weights)
    return means.means()


def test_padding_is_ignored_and_infinity_is_not():
    values = np.array([1.0, np.nan, 3.0, np.inf])
    assert _mean(({"a": values}, np.array([1, 0, 3, 0]))) == {"a": 2.5}
    assert _mean(({"a": values[2:]},)) == {"a": np.inf}
    assert np.isnan(_mean(({"a": values},))["a"])
    assert np.isnan(_mean(({"a": [np.inf]},), ({"a": [-np.inf, 1.0]},))["a"])


def test_mistakes_are_named():
    ones = {"a": np.ones(2)}
    with pytest.raises(ValueError, match="no example carries weight"):
        _mean((ones, np.zeros(2)))
    with pytest.raises(ValueError, match="no example carries weight"):
        _mean()
    with pytest.raises(ValueError, match="'a' must be one value per example"):
        _mean(({"a": np.ones(3)}, np.ones(2)))
    with pytest.raises(ValueError, match="'a' must be one value per example"):
        _mean(({"a": np.ones((2, 2))},))
    with pytest.raises(ValueError, match="weights must be finite and at least 0"):
        _mean((ones, np.array([1, -1])))
    with pytest.raises(ValueError, match=r"same metrics, got \['b'\] after \['a'\]"):
        _mean((ones,), ({"b": np.ones(2)},))
    with pytest.raises(ValueError, match="no metric"):
        _mean(({}, np.ones(1)))
    means = evaluation.WeightedMeans()
    means.add(ones)
    with pytest.raises(ValueError, match=r"every process .* \['a'\] and \['b'\]"):
        means.means(gather=lambda value: [value, [[1.0], {"b": [2.0]}]])

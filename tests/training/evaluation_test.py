"""training/evaluation.py: the same bits for any batch size and number of processes."""

import fractions
import json

import numpy as np
import pytest

from bilateral_jax.training import evaluation

_VALUES = np.random.default_rng(0).lognormal(sigma=8, size=(37, 2))  # sizes that lose digits
_VALUES[::5] *= -1


def _filled(size, positions=range(37)):
    chosen, means = np.array(positions, int), evaluation.ExactMeans()
    for k in range(0, len(chosen), size):
        part = chosen[k : k + size]
        means.add({"first": _VALUES[part, 0], "second": _VALUES[part, 1]})
    return means


def _mean(*batches):
    means = evaluation.ExactMeans()
    for values in batches:
        means.add(values)
    return means.means()


def test_the_mean_is_the_same_bits_for_every_batch_size():
    expected = _filled(37).means()
    column = _VALUES[:, 0]
    plain = {sum(column[k : k + n].sum() for k in range(0, 37, n)) for n in range(1, 38)}
    assert len(plain) > 1  # ordinary sums do depend on it
    for size in range(1, 39):
        assert _filled(size).means() == expected, size
    for k, value in enumerate(expected.values()):
        exact = sum(map(fractions.Fraction, _VALUES[:, k].tolist())) / 37
        np.testing.assert_allclose(value, float(exact), rtol=4e-16)


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
            assert "no example was added" in str(error)  # alone, it would have nothing
    expected = _filled(37).means()
    assert [shard.means(gather=lambda value: records) for shard in shards] == [expected] * count


def test_infinite_and_undefined_values_reach_the_mean():
    assert _mean({"a": [1.0, 2.0]}, {"a": [np.inf]}) == {"a": np.inf}
    assert np.isnan(_mean({"a": [1.0, np.nan]})["a"])
    assert np.isnan(_mean({"a": [np.inf]}, {"a": [-np.inf, 1.0]})["a"])


def test_mistakes_are_named():
    ones = {"a": np.ones(2)}
    with pytest.raises(ValueError, match="no example was added"):
        _mean()
    with pytest.raises(ValueError, match="one value per example"):
        _mean({"a": np.ones(3), "b": np.ones(2)})
    with pytest.raises(ValueError, match="one value per example"):
        _mean({"a": np.ones((2, 2))})
    with pytest.raises(ValueError, match=r"same metrics, got \['b'\] after \['a'\]"):
        _mean(ones, {"b": np.ones(2)})
    with pytest.raises(ValueError, match="no metric"):
        _mean({})
    means = evaluation.ExactMeans()
    means.add(ones)
    with pytest.raises(ValueError, match=r"every process .* \['a'\] and \['b'\]"):
        means.means(gather=lambda value: [value, {"b": [2.0]}])

"""Correlations and accuracy of ratings, against SciPy."""

import math

import numpy as np
import pytest
import scipy.stats

from bilateral_jax import metrics


@pytest.mark.parametrize("ties", [False, True])
def test_correlations_agree_with_scipy(ties):
    rng = np.random.default_rng(0)
    one = rng.normal(size=50)
    other = one + rng.normal(size=50)
    if ties:
        one, other = np.round(one), np.round(other)
    pearson = scipy.stats.pearsonr(one, other).statistic
    spearman = scipy.stats.spearmanr(one, other).statistic
    np.testing.assert_allclose(metrics.linear_correlation(one, other), pearson, rtol=1e-12)
    np.testing.assert_allclose(metrics.rank_correlation(one, other), spearman, rtol=1e-12)
    order = rng.permutation(50)
    shuffled = metrics.rank_correlation(one[order], other[order])
    np.testing.assert_allclose(shuffled, spearman, rtol=1e-12)


def test_perfect_and_undefined_correlations():
    rising = np.array([1, 2, 4, 8, 16.0])
    assert metrics.rank_correlation(rising, rising**3) == 1
    assert metrics.rank_correlation(rising, -rising) == -1
    assert metrics.linear_correlation(rising, 3 - 2 * rising) == -1
    assert math.isnan(metrics.linear_correlation(rising, np.ones(5)))
    assert math.isnan(metrics.rank_correlation(np.ones(5), rising))


def test_binary_accuracy():
    predicted, true = [5.1, 4.0, 5.0, 9.0], [6.0, 5.2, 4.9, 5.0]
    assert metrics.binary_accuracy(predicted, true) == 0.5  # 5 is not above 5
    assert metrics.binary_accuracy(predicted, true, threshold=0.0) == 1.0


@pytest.mark.parametrize("name", ["linear_correlation", "rank_correlation", "binary_accuracy"])
def test_wrong_shapes_are_refused(name):
    for pair in (([1.0], [1.0]), ([1, 2], [1, 2, 3]), (np.ones((2, 2)), np.ones((2, 2)))):
        with pytest.raises(ValueError, match=r"must both be \[n\] with n of at least 2"):
            getattr(metrics, name)(*pair)

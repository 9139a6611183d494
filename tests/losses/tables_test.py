"""Regularizers of colour tables."""

import itertools

import numpy as np
import pytest

import bilateral_jax as bj
from bilateral_jax.losses import tables


def by_loops(table):
    """(total variation, monotonicity) of a table `[n, m, k, c]`."""
    variation, falling = 0.0, 0.0
    for axis in range(3):
        gaps = table.shape[axis] - 1
        differences = []
        for index in itertools.product(*map(range, table.shape)):
            if index[axis] < gaps:
                upper = tuple(i + (k == axis) for k, i in enumerate(index))
                weight = 2 if index[axis] in (0, gaps - 1) else 1
                differences.append((table[upper] - table[index], weight))
        variation += np.mean([w * d**2 for d, w in differences])
        falling += np.mean([max(-d, 0) for d, _ in differences])
    return variation, falling


def test_regularizers_are_those_of_the_loops():
    stack = np.random.default_rng(0).normal(size=(2, 4, 3, 5, 2))
    expected = np.array([by_loops(table) for table in stack])
    np.testing.assert_allclose(tables.total_variation(stack), expected[:, 0], rtol=1e-6)
    np.testing.assert_allclose(tables.monotonicity(stack), expected[:, 1], rtol=1e-6)


def test_the_identity_falls_nowhere_and_its_negative_everywhere():
    table = bj.identity_table(9)
    assert tables.monotonicity(table) == 0
    np.testing.assert_allclose(tables.monotonicity(-table), 3 * (1 / 8) / 3, rtol=1e-6)
    with pytest.raises(ValueError, match=r"table must be .*got \(9, 9, 3\)"):
        tables.total_variation(table[0])

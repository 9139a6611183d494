"""Regularizers of colour tables, and the penalty of a critic's slope."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bilateral_jax as bj
from bilateral_jax.losses import adversarial, tables


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


def test_the_penalty_is_of_the_slope_at_the_mixture():
    slope = np.random.default_rng(0).normal(size=(4, 4, 3)).astype(np.float32)
    real, generated = np.random.default_rng(1).uniform(size=(2, 2, 4, 4, 3)).astype(np.float32)
    fraction = jnp.asarray([0.25, 0.75])

    def critic(image):  # its gradient is image * slope
        return (jnp.square(image) * slope[None]).sum((1, 2, 3)) / 2

    value = adversarial.slope_penalty(critic, real, generated, fraction)
    mixture = np.asarray([0.25, 0.75])[:, None, None, None]
    mixture = mixture * real + (1 - mixture) * generated
    expected = (np.sqrt(np.square(mixture * slope).sum((1, 2, 3))) - 1) ** 2
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    flat = lambda scale: adversarial.slope_penalty(  # noqa: E731
        lambda image: scale * image.sum((1, 2, 3)), real, generated, fraction
    )
    assert np.isfinite(jax.jacobian(flat)(0.0)).all()
    with pytest.raises(ValueError, match="must have one shape"):
        adversarial.slope_penalty(critic, real, generated[:, 1:], fraction)

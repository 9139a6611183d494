"""Mean squared error and grid regularizers: closed forms, gradients, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax.losses import reconstruction, regularizers


def test_mse_is_the_mean_over_one_image():
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(2, 4, 5, 6, 3)).astype(np.float32)
    expected = ((prediction.astype(np.float64) - target) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(reconstruction.mse(prediction, target), expected, rtol=1e-6)
    gradient = jax.grad(lambda x: reconstruction.mse(x, target)[1])(jnp.asarray(prediction))
    np.testing.assert_allclose(gradient[1], 2 * (prediction - target)[1] / 90, atol=1e-7)
    assert not gradient[0].any()


def test_half_precision_is_accumulated_in_float32():
    prediction = jnp.full((1, 64, 64, 3), 1.0, jnp.bfloat16)
    loss = reconstruction.mse(prediction, prediction + jnp.bfloat16(0.5))
    assert loss.dtype == jnp.float32
    np.testing.assert_allclose(loss, 0.25)


@pytest.mark.parametrize("columns", [3, 4])
def test_identity_distance_is_zero_at_the_identity_and_averages_all_entries(columns):
    grid = np.broadcast_to(np.eye(3, columns, dtype=np.float32), (2, 4, 5, 6, 3, columns)).copy()
    np.testing.assert_array_equal(regularizers.identity_distance(grid), [0, 0])
    grid[1] += 0.5
    np.testing.assert_allclose(regularizers.identity_distance(grid), [0, 0.25])


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"\(4, 4, 3\) and \(4, 5, 3\)"):
        reconstruction.mse(np.zeros((4, 4, 3)), np.zeros((4, 5, 3)))
    with pytest.raises(ValueError, match=r"got \(4, 4, 2, 3, 5\)"):
        regularizers.identity_distance(np.zeros((4, 4, 2, 3, 5)))

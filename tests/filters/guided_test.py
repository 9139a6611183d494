"""Box, minimum and guided filter against loops in float64; identities, gradients, errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import test_util

from bilateral_jax.filters import guided, windows

pytestmark = pytest.mark.usefixtures("compiled_quickly")


def plane(*size):
    return np.random.default_rng(0).random(size)


def window(values, row, column, radius):
    rows = slice(max(row - radius, 0), row + radius + 1)
    return values[rows, max(column - radius, 0) : column + radius + 1]


def over_windows(values, radius, measure):
    result = np.empty(values.shape)
    for row, column in np.ndindex(values.shape):
        result[row, column] = measure(window(values, row, column, radius))
    return result


RADII = (0, 1, 2, 3, 20)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (9, 7)])
def test_windows_agree_with_the_loops(size):
    values = plane(*size)

    @jax.jit
    def both(values):
        return [(windows.mean(values, r), windows.minimum(values, r)) for r in RADII]

    for radius, (mean, least) in zip(RADII, both(jnp.float32(values)), strict=True):
        np.testing.assert_allclose(mean, over_windows(values, radius, np.mean), atol=1e-6)
        expected = over_windows(values, radius, np.min).astype(np.float32)
        np.testing.assert_array_equal(least, expected)


@functools.cache
def smooth(radius):
    return jax.jit(functools.partial(guided.smooth, radius=radius))


def guided_loop(values, guide, radius, epsilon):
    """The definition: one affine fit per window, then the mean of the fits over windows."""
    slopes, offsets = np.empty(guide.shape), np.empty(values.shape)
    for pixel in np.ndindex(values.shape):
        inside = window(guide, *pixel, radius).reshape(-1, guide.shape[-1])
        values_inside = window(values, *pixel, radius).ravel()
        centred = inside - inside.mean(0)
        covariance = centred.T @ centred / len(centred) + epsilon * np.eye(guide.shape[-1])
        cross_covariance = centred.T @ (values_inside - values_inside.mean()) / len(centred)
        slopes[pixel] = np.linalg.solve(covariance, cross_covariance)
        offsets[pixel] = values_inside.mean() - slopes[pixel] @ inside.mean(0)
    result = np.empty(values.shape)
    for pixel in np.ndindex(values.shape):
        slope = window(slopes, *pixel, radius).mean((0, 1))
        result[pixel] = slope @ guide[pixel] + window(offsets, *pixel, radius).mean()
    return result


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("radius, epsilons", [(2, (1e-4, 0.05)), (30, (0.01,))])
def test_guided_filter_agrees_with_the_loop(channels, radius, epsilons):
    guide, values = plane(8, 11, channels), plane(8, 11) ** 2 + 5
    for epsilon in epsilons:
        found = smooth(radius)(jnp.float32(values), jnp.float32(guide), epsilon=epsilon)
        expected = guided_loop(values, guide, radius, epsilon)
        assert np.abs(expected - values).max() > 0.1
        np.testing.assert_allclose(found, expected, atol=2e-4 if epsilon < 1e-3 else 1e-5)


def test_affine_functions_of_the_guide_are_kept_and_a_flat_guide_gives_means():
    guide = jnp.float32(plane(8, 11, 3))
    values = guide @ jnp.float32([0.5, -1.0, 2.0]) + 0.3
    np.testing.assert_allclose(smooth(2)(values, guide, epsilon=1e-7), values, atol=1e-4)
    flat = smooth(2)(values, jnp.ones((8, 11, 1)), epsilon=1e-4)
    twice = jax.jit(lambda x: windows.mean(windows.mean(x, 2), 2))(values)
    np.testing.assert_allclose(flat, twice, atol=1e-5)


def test_batches_broadcast_and_are_independent():
    guide, values = jnp.float32(plane(8, 11, 3)), jnp.float32(plane(2, 8, 11))
    both = smooth(2)(values, guide[None], epsilon=0.01)
    for index in range(2):
        alone = smooth(2)(values[index], guide, epsilon=0.01)
        np.testing.assert_allclose(both[index], alone, atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision(dtype):
    values, guide = jnp.asarray(plane(8, 11), dtype), jnp.asarray(plane(8, 11, 1), dtype)
    found = smooth(2)(values, guide, epsilon=0.01)
    exact = smooth(2)(values.astype(jnp.float32), guide.astype(jnp.float32), epsilon=0.01)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, exact.astype(dtype))


def test_gradients_agree_with_differences():
    values, guide = jnp.float32(plane(5, 6)), jnp.float32(plane(5, 6, 3))
    run = functools.partial(guided.smooth, radius=2, epsilon=0.05)
    total = jax.jit(lambda v, g: jnp.sum(jnp.sin(3 * run(v, g))))
    test_util.check_grads(total, (values, guide), order=1, modes=["fwd", "rev"], rtol=5e-2)


def test_errors_name_the_argument():
    values, guide = jnp.zeros((4, 5)), jnp.zeros((4, 5, 3))
    with pytest.raises(ValueError, match=r"plane must have the guide's height and width \(4, 5\)"):
        guided.smooth(jnp.zeros((5, 4)), guide, radius=1, epsilon=0.1)
    with pytest.raises(ValueError, match=r"guide must have the axes \[\*b, h, w, c\]"):
        guided.smooth(values, values, radius=1, epsilon=0.1)
    with pytest.raises(ValueError, match="radius must be an int of at least 0, got -1"):
        guided.smooth(values, guide, radius=-1, epsilon=0.1)
    with pytest.raises(ValueError, match="radius must be an int of at least 0, got 1.5"):
        windows.mean(values, 1.5)
    with pytest.raises(ValueError, match="epsilon must be above 0, got 0.0"):
        guided.smooth(values, guide, radius=1, epsilon=0.0)
    with pytest.raises(TypeError, match="plane must be floating point"):
        windows.minimum(jnp.zeros((4, 5), jnp.int32), 1)
    with pytest.raises(ValueError, match="leading axes must broadcast"):
        guided.smooth(jnp.zeros((2, 4, 5)), jnp.zeros((3, 4, 5, 1)), radius=1, epsilon=0.1)

"""Pyramids against loops in float64, and their properties."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax.filters import pyramids

pytestmark = pytest.mark.usefixtures("compiled_quickly")

KERNEL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
SIZES = [(1, 1), (1, 7), (5, 4), (8, 9)]


def plane(height, width):
    return np.random.default_rng(0).standard_normal((height, width))


def downsample_loop(source):
    """Every output pixel is the weighted sum of the 5x5 pixels around it."""
    height, width = source.shape
    result = np.zeros(((height + 1) // 2, (width + 1) // 2))
    for row in range(result.shape[0]):
        for column in range(result.shape[1]):
            for i in range(5):
                for j in range(5):
                    y = min(max(2 * row + i - 2, 0), height - 1)
                    x = min(max(2 * column + j - 2, 0), width - 1)
                    result[row, column] += KERNEL[i] * KERNEL[j] * source[y, x]
    return result


def upsample_loop(source, height, width):
    """Every coarse pixel adds its kernel to the fine ones; border pixels are repeated."""
    rows, columns = source.shape
    result = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            for row in range(-2, rows + 2):
                for column in range(-2, columns + 2):
                    i, j = y - 2 * row + 2, x - 2 * column + 2
                    if 0 <= i < 5 and 0 <= j < 5:
                        value = source[min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)]
                        result[y, x] += 4 * KERNEL[i] * KERNEL[j] * value
    return result


@pytest.mark.parametrize("size", SIZES)
def test_downsample_agrees_with_the_loop(size):
    actual = pyramids.downsample(jnp.asarray(plane(*size), jnp.float32))
    np.testing.assert_allclose(actual, downsample_loop(plane(*size)), atol=2e-6)


@pytest.mark.parametrize("size", SIZES)
def test_upsample_agrees_with_the_loop(size):
    coarse = plane((size[0] + 1) // 2, (size[1] + 1) // 2)
    actual = pyramids.upsample(jnp.asarray(coarse, jnp.float32), *size)
    np.testing.assert_allclose(actual, upsample_loop(coarse, *size), atol=2e-6)


@pytest.mark.parametrize("size", SIZES)
def test_constants_are_kept(size):
    levels = jax.jit(lambda source: pyramids.laplacian(source, 3))(jnp.full(size, 0.7))
    for band in levels[:-1]:
        np.testing.assert_allclose(band, 0.0, atol=1e-6)
    np.testing.assert_allclose(levels[-1], 0.7, rtol=1e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("levels", [0, 1, 3])
def test_collapse_inverts_laplacian_and_batches_are_independent(size, levels):
    stack = jnp.asarray(np.stack([plane(*size), -2 * plane(*size)]), jnp.float32)
    laplacian = jax.jit(lambda source: pyramids.laplacian(source, levels))
    bands = laplacian(stack)
    assert len(bands) == levels + 1
    np.testing.assert_allclose(jax.jit(pyramids.collapse)(bands), stack, atol=2e-6)
    alone = laplacian(stack[1])
    for together, single in zip(bands, alone):
        np.testing.assert_allclose(together[1], single, atol=1e-6)


def test_max_levels_leaves_about_two_pixels():
    assert pyramids.max_levels(1, 1) == 1
    for size in (4, 5, 63, 64, 300, 1080):
        levels = pyramids.max_levels(size, 2 * size)
        plane = jax.ShapeDtypeStruct((size, 2 * size), jnp.float32)
        rest = jax.eval_shape(lambda p, n=levels: pyramids.gaussian(p, n), plane)
        assert 2 <= rest[-1].shape[0] <= 4

"""The bilateral filter on a grid against the exact filter, on a real photo."""

import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
import skimage.transform

import bilateral_jax as bj
from tests import oracles

pytestmark = pytest.mark.usefixtures("compiled_quickly")


def photo():
    """A portrait, small enough for the exact filter; image and luma."""
    image = skimage.transform.resize(skimage.data.astronaut(), (64, 64), anti_aliasing=True)
    image = image.astype(np.float32)
    return image, image @ np.array([0.299, 0.587, 0.114], np.float32)


def test_error_falls_with_more_cells():
    image, guide = photo()
    sigmas = {"sigma_space": 6.0, "sigma_range": 0.15}
    exact = oracles.bilateral_filter_loops(image, guide, *sigmas.values())
    errors = [
        np.sqrt(
            np.mean((bj.bilateral_filter(image, guide, **sigmas, cells_per_sigma=k) - exact) ** 2)
        )
        for k in (1.0, 2.0, 4.0)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[1] < 0.01 and errors[2] < 0.004
    # The filter did something: the distance to the input is many times the error.
    assert np.sqrt(np.mean((image - exact) ** 2)) > 5 * errors[1]


@pytest.mark.parametrize(
    "sigma_range, cells, worst", [(0.1, 2, 0.025), (0.4, 2, 0.12), (0.4, 4, 0.06)]
)
def test_the_stated_accuracy(sigma_range, cells, worst):
    image, guide = photo()
    sigmas = {"sigma_space": 4.0, "sigma_range": sigma_range}
    exact = oracles.bilateral_filter_loops(image, guide, *sigmas.values())
    error = np.abs(bj.bilateral_filter(image, guide, **sigmas, cells_per_sigma=cells) - exact)
    assert 0.8 * worst < error.max() < worst
    assert np.sqrt(np.mean(error**2)) < 0.009


def test_docstring_composition_is_the_filter():
    image, guide = photo()
    grid_shape, sigmas = (22, 22, 14), (np.sqrt((22 * 6 / 64) ** 2 - 1 / 3),) * 2
    sigmas = (*sigmas, np.sqrt((14 * 0.15) ** 2 - 1 / 3))
    values, weights = bj.splat(image, guide, grid_shape, weights=jnp.ones_like(guide))
    values = bj.blur(values, sigmas, boundary="zero", feature_axes=1)
    weights = bj.blur(weights, sigmas, boundary="zero", feature_axes=0)
    total = bj.slice(weights, guide)[..., None]
    out = bj.slice(values, guide) / total
    filtered = bj.bilateral_filter(image, guide, sigma_space=6.0, sigma_range=0.15)
    np.testing.assert_allclose(out, filtered, atol=2e-6)


def test_preserves_edges_of_the_guide_and_batches_are_independent():
    guide = np.zeros((2, 24, 24), np.float32)
    guide[:, :, 12:] = 1.0
    image = np.stack([guide, 1 - guide], -1) + 0.1 * np.random.default_rng(0).normal(
        size=(2, 24, 24, 2)
    ).astype(np.float32)
    out = bj.bilateral_filter(image, guide, sigma_space=4.0, sigma_range=0.1)
    assert np.abs(out[..., 0] - guide).max() < 0.12
    assert np.std(out[:, :, :10, 0]) < 0.3 * np.std(image[:, :, :10, 0])
    alone = bj.bilateral_filter(image[1], guide[1], sigma_space=4.0, sigma_range=0.1)
    np.testing.assert_allclose(out[1], alone, atol=1e-5)


@pytest.mark.parametrize("name", ["sigma_space", "sigma_range", "cells_per_sigma"])
@pytest.mark.parametrize("value", [0.0, "2"])
def test_options_must_be_positive(name, value):
    options = {"sigma_space": 2.0, "sigma_range": 0.1} | {name: value}
    with pytest.raises(ValueError, match=f"{name} must be a positive number, got {value!r}"):
        bj.bilateral_filter(
            np.zeros((4, 4, 1), np.float32), np.zeros((4, 4), np.float32), **options
        )

"""Filters and losses of float16 images with more pixels than float16 counts to. Half a minute."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data

from bilateral_jax.filters import (
    dark_channel,
    guided,
    haze_lines,
    local_contrast,
    local_laplacian,
    windows,
    wls,
)
from bilateral_jax.losses import blurred, gradient_penalties, reconstruction, variation

pytestmark = pytest.mark.usefixtures("compiled_quickly")


def plane_of(function, **options):
    return lambda image: function(image[..., 1], **options)


FILTERS = {
    "box": plane_of(windows.mean, radius=200),
    "guided": lambda x: guided.smooth(x[..., 1], x, radius=40, epsilon=1e-3),
    "wls": lambda x: wls.smooth(x[..., 1], x, smoothness=0.1, iterations=20),
    "local_laplacian": plane_of(local_laplacian.fast, sigma=0.2, gain=2.0, noise=0.02, samples=9),
    "local_tone_mapping": lambda x: local_laplacian.enhance(x, alpha=0.7, beta=0.5, samples=9),
    "boost": functools.partial(local_contrast.boost, samples=9),
    "multilayer": functools.partial(local_contrast.multilayer, gains=(1.3, 1.8, 1.8), lift=0.6),
    "dark_channel": dark_channel.dehaze,
    "haze_lines": lambda x: haze_lines.estimate(x, iterations=5)[1],
    "air_light": lambda x: dark_channel.estimate_air_light(x, share=1.0, pick="mean"),
}


@pytest.fixture(scope="module")
def photo():
    """276 x 256 pixels, whose values float16 holds exactly."""
    return (skimage.data.coffee()[:276, :256] / 256).astype(np.float16)


@pytest.mark.parametrize("name", FILTERS)
def test_filters_sum_in_float32(photo, name):
    run = jax.jit(FILTERS[name])
    half, single = run(photo), run(photo.astype(np.float32))
    assert half.dtype == jnp.float16
    np.testing.assert_allclose(half.astype(jnp.float32), single, rtol=2e-3, atol=8e-3)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: reconstruction.mse(200 * x, x),
        lambda x: reconstruction.l2_norm(200 * x),
        lambda x: blurred.blurred_color(x, 0 * x),
        lambda x: variation.total_variation(x),
        lambda x: gradient_penalties.penalty(_steep, x[None] / 512, form="zero_centred"),
    ],
    ids=["mse", "l2", "blurred_color", "total_variation", "gradient_penalty"],
)
def test_losses_sum_in_float32(photo, loss):
    half, single = loss(jnp.asarray(photo)), loss(jnp.asarray(photo, jnp.float32))
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, single, rtol=2e-3)


def _steep(image):
    logit = 300 * image.astype(jnp.float32).sum((-3, -2, -1))
    return jnp.stack([logit, jnp.zeros_like(logit)], -1)

"""The range of the images of a metric: 8-bit values as floats, and values that cannot be in it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import metrics
from bilateral_jax.losses import illumination

pytestmark = pytest.mark.usefixtures("compiled_quickly")


def _layers(image):
    return [jnp.square(image)]


METRICS = {
    "psnr": metrics.psnr,
    "ssim": metrics.ssim,
    "ms_ssim": functools.partial(metrics.ms_ssim, weights=(0.4, 0.6)),
    "delta_e": metrics.delta_e,
    "delta_e_2000": metrics.delta_e_2000,
    "perceptual": functools.partial(metrics.perceptual, features=_layers),
}


def pair(white):
    rng = np.random.default_rng(0)
    image = rng.random((32, 40, 3), np.float32)
    noisy = np.clip(image + rng.normal(0, 0.1, image.shape), 0, 1).astype(np.float32)
    return np.float32(white) * noisy, np.float32(white) * image


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("white", [255.0, 65535, 0.5])
def test_a_metric_does_not_depend_on_the_range(name, white):
    expected = METRICS[name](*pair(1))
    actual = METRICS[name](*pair(white), data_range=white)
    np.testing.assert_allclose(actual, expected, rtol=2e-5)
    traced = jax.jit(METRICS[name])(*pair(white), data_range=white)
    np.testing.assert_allclose(traced, expected, rtol=2e-5)


def test_ssim_and_psnr_of_8_bit_values_equal_scikit_image():
    from skimage import metrics as oracle

    prediction, target = pair(255)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = oracle.structural_similarity(
        prediction, target, data_range=255, channel_axis=-1, **options
    )
    np.testing.assert_allclose(
        metrics.ssim(prediction, target, data_range=255), expected, atol=1e-5
    )
    expected = oracle.peak_signal_noise_ratio(target, prediction, data_range=255)
    np.testing.assert_allclose(
        metrics.psnr(prediction, target, data_range=255), expected, rtol=1e-5
    )
    error = np.mean(np.square(prediction - target))
    np.testing.assert_allclose(metrics.psnr_from_mse(error, data_range=255), expected, rtol=1e-5)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_values_that_cannot_be_in_the_range_are_refused(name, kind):
    prediction, target = (kind(image) for image in pair(255))
    small = tuple(kind(image) for image in pair(1))
    metric = METRICS[name]
    with pytest.raises(ValueError, match=r"prediction holds values from .* expected \[0, 1\]"):
        metric(prediction, target)
    with pytest.raises(ValueError, match=r"target holds values from .* expected \[0, 1\]"):
        metric(small[0], target)
    with pytest.raises(ValueError, match=r"prediction holds values from -"):
        metric(-prediction, small[1])
    with pytest.raises(ValueError, match="data_range must be a positive number, got 0"):
        metric(*small, data_range=0)


def test_predictions_are_not_clipped_and_padding_does_not_count():
    prediction, target = pair(1)
    assert np.isfinite(metrics.psnr(6 * prediction - 3, target))
    prediction[0, 0] = np.nan
    assert np.isnan(metrics.psnr(prediction, target))
    prediction[0, 0] = np.inf
    assert metrics.psnr(prediction, target) == -np.inf
    prediction[0, 0] = 1000
    valid = np.ones(prediction.shape[:2])
    valid[0, 0] = 0
    assert metrics.psnr(prediction, target, valid=valid) > 15


def test_rounding_and_losses_of_8_bit_values_are_refused():
    image = pair(255)[0]
    with pytest.raises(ValueError, match=r"image holds values from .* expected \[0, 1\]"):
        metrics.round_to_8bit(image)
    with pytest.raises(ValueError, match=r"image holds values from .* expected \[0, 1\]"):
        illumination.smoothness_loss(image[..., :1], image)

"""metrics.py against scikit-image, closed forms and the published numbers of a few real photos."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import images, metrics
from tests import assets


def _pictures(kind):
    rng = np.random.default_rng(3)
    if kind == "random":
        return rng.random((37, 53, 3), np.float32), rng.random((37, 53, 3), np.float32)
    from skimage import data

    photo = data.astronaut()[100:260, 150:340].astype(np.float32) / 255
    worse = np.clip(photo**1.3 + rng.normal(0, 0.03, photo.shape), 0, 1).astype(np.float32)
    return worse, photo


@pytest.mark.parametrize("kind", ["random", "photo"])
def test_all_three_agree_with_scikit_image(kind):
    from skimage import color
    from skimage import metrics as oracle

    prediction, target = (x.astype(np.float64) for x in _pictures(kind))
    expected_ssim = oracle.structural_similarity(
        prediction,
        target,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
    )
    lab = color.rgb2lab(prediction) - color.rgb2lab(target)
    np.testing.assert_allclose(
        metrics.psnr(prediction, target),
        oracle.peak_signal_noise_ratio(target, prediction, data_range=1),
        rtol=1e-5,
    )
    np.testing.assert_allclose(metrics.ssim(prediction, target), expected_ssim, atol=2e-5)
    np.testing.assert_allclose(
        metrics.delta_e(prediction, target), np.linalg.norm(lab, axis=-1).mean(), rtol=2e-3
    )


@pytest.mark.parametrize("metric", [metrics.psnr, metrics.ssim, metrics.delta_e])
def test_each_example_is_judged_alone(metric):
    rng = np.random.default_rng(0)
    prediction, target = rng.random((2, 2, 3, 16, 20, 3), np.float32)
    together = metric(prediction, target)
    assert together.shape == (2, 3)
    np.testing.assert_allclose(together[1, 2], metric(prediction[1, 2], target[1, 2]), rtol=1e-5)
    np.testing.assert_allclose(jax.jit(metric)(prediction, target), together, rtol=1e-5)


def test_known_values():
    grey = jnp.full((12, 12, 3), 0.5)
    assert metrics.psnr(grey, grey) == jnp.inf
    np.testing.assert_allclose(metrics.psnr(grey + 0.1, grey), 20.0, atol=1e-4)
    np.testing.assert_allclose(metrics.ssim(grey, grey), 1.0, atol=1e-6)
    np.testing.assert_allclose(
        metrics.delta_e(jnp.ones((2, 2, 3)), jnp.zeros((2, 2, 3))), 100.0, atol=1e-2
    )
    checks = jnp.asarray((np.indices((24, 24)).sum(0) % 2)[..., None], jnp.float32)
    assert metrics.ssim(checks, 1.0 - checks) < -0.99


def test_ssim_is_one_for_equal_dark_and_bright_pictures():
    noise = np.random.default_rng(1).random((32, 32, 3), np.float32)
    for scale, shift in ((1e-3, 0.0), (1e-3, 0.999), (1.0, 0.0)):
        image = noise * np.float32(scale) + np.float32(shift)
        np.testing.assert_allclose(metrics.ssim(image, image), 1.0, atol=1e-5)


def test_eight_bit_values_are_what_a_file_holds():
    values = np.array([-0.2, 0.0, 0.4999 / 255, 0.5001 / 255, 254.6 / 255, 1.0, 1.7], np.float32)
    np.testing.assert_array_equal(
        np.rint(metrics.round_to_8bit(values) * 255), [0, 0, 0, 1, 255, 255, 255]
    )


def test_mistakes_are_named():
    image = np.zeros((16, 16, 3), np.float32)
    with pytest.raises(TypeError, match="prediction has dtype uint8"):
        metrics.psnr(image.astype(np.uint8), image)
    with pytest.raises(ValueError, match="same shape"):
        metrics.psnr(image, image[:-1])
    with pytest.raises(ValueError, match=r"\[\*b, h, w, c\]"):
        metrics.psnr(image[0], image[0])
    with pytest.raises(ValueError, match="at least 11"):
        metrics.ssim(image[:10], image[:10])
    with pytest.raises(ValueError, match="three sRGB channels"):
        metrics.delta_e(image[..., :1], image[..., :1])


def test_published_psnr_of_the_sample_photos():
    folder = assets.path("fivek_sample")

    expected = {"a0535": 23.38, "a1305": 20.79, "a2995": 26.88, "a3451": 21.77, "a4963": 23.11}
    for name, value in expected.items():
        pair = [
            images.to_float(images.read(folder / side / f"{name}.png").pixels)
            for side in ("input", "expert_c")
        ]
        assert abs(float(metrics.psnr(*pair)) - value) < 0.006, name

"""Masks of padded images: every loss and metric is that of the image without its padding."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import metrics
from bilateral_jax.losses import blurred, features, illumination, reconstruction, variation
from bilateral_jax.metrics import window_means

pytestmark = pytest.mark.usefixtures("compiled_quickly")

SIZES = (14, 17), (18, 20), (0, 0)  # valid rows and columns of 18 x 20 pixels


def smoothness(prediction, target, valid=None):
    return illumination.smoothness_loss(prediction, target, valid=valid)


def variation_of(form):
    return lambda prediction, _, valid=None: variation.total_variation(
        prediction, form=form, valid=valid
    )


FUNCTIONS = {
    "mse": reconstruction.mse,
    "l1": reconstruction.l1,
    "total_variation": variation_of("code"),
    "total_variation_of_the_paper": variation_of("paper"),
    "blurred_color": blurred.blurred_color,
    "smoothness": smoothness,
    "color": illumination.color_loss,
    "color_angle": functools.partial(illumination.color_loss, form="angle"),
    "psnr": metrics.psnr,
    "ssim": metrics.ssim,
    "delta_e": metrics.delta_e,
    "delta_e_2000": metrics.delta_e_2000,
}


def padded():
    """Three examples with their valid part in the top left corner, NaN beyond it."""
    rng = np.random.default_rng(0)
    prediction, target = rng.uniform(0.05, 0.95, (2, 3, 18, 20, 3)).astype(np.float32)
    valid = np.zeros((3, 18, 20), np.float32)
    for mask, (height, width) in zip(valid, SIZES, strict=True):
        mask[:height, :width] = 1
    prediction[valid == 0] = target[valid == 0] = np.nan
    return prediction, target, valid


@pytest.mark.parametrize("name", FUNCTIONS)
def test_padding_does_not_count(name):
    function = FUNCTIONS[name]
    prediction, target, valid = padded()

    def total(prediction, target):
        values = function(prediction, target, valid=valid)
        return values.sum(), values

    (_, values), slopes = jax.jit(jax.value_and_grad(total, has_aux=True))(prediction, target)
    assert values.dtype == jnp.float32 and values.shape == (3,)
    expected = np.zeros(3, np.float32)
    for index, (height, width) in enumerate(SIZES[:2]):
        cropped = (x[index, :height, :width] for x in (prediction, target))
        expected[index], slope = jax.jit(jax.value_and_grad(function))(*cropped)
        scale = np.abs(slope).max()
        np.testing.assert_allclose(
            slopes[index, :height, :width], slope, rtol=1e-4, atol=1e-5 * scale
        )
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    assert not np.asarray(slopes)[valid == 0].any()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_dtypes_of_the_mask(dtype):
    prediction, target = np.random.default_rng(1).random((2, 2, 3, 4, 3), np.float32)
    valid = np.ones((2, 3, 4), dtype)
    expected = reconstruction.mse(prediction, target)
    out = reconstruction.mse(prediction, target, valid=valid)
    np.testing.assert_allclose(out, expected, rtol=1e-6)


def test_masks_with_holes():
    rng = np.random.default_rng(2)
    image, other = rng.random((2, 13, 14, 3), np.float32)
    valid = rng.random((13, 14)) < 0.7
    error = ((image - other) ** 2)[valid].mean()
    np.testing.assert_allclose(reconstruction.mse(image, other, valid=valid), error, rtol=1e-6)
    down = (np.diff(image, axis=0) ** 2)[valid[1:] & valid[:-1]].mean()
    right = (np.diff(image, axis=1) ** 2)[valid[:, 1:] & valid[:, :-1]].mean()
    out = variation.total_variation(image, valid=valid)
    np.testing.assert_allclose(out, down + right, rtol=1e-5)
    assert float(metrics.ssim(image, other, valid=valid)) == 0  # no window is valid
    valid[:] = True
    valid[0, 0] = False  # all windows but the one at the top left
    windows = np.float32(
        [[metrics.ssim(x[0], x[1]) for x in row] for row in _windows(image, other)]
    )
    expected = (windows.sum() - windows[0, 0]) / (windows.size - 1)
    np.testing.assert_allclose(metrics.ssim(image, other, valid=valid), expected, rtol=1e-5)


def _windows(*images):
    for row in range(3):
        yield [[x[row : row + 11, column : column + 11] for x in images] for column in range(4)]


@pytest.mark.parametrize("name", ["ssim", "delta_e"])
def test_masked_metrics_of_large_images_are_computed_in_tiles(name, monkeypatch):
    prediction, target, valid = (x[:, None] for x in padded())
    function = getattr(metrics, name)
    expected = function(prediction[:, 0], target[:, 0], valid=valid[:, 0])
    monkeypatch.setattr(window_means, "_TILE_PIXELS", 5 * 3 * 20)
    out = jax.jit(function)(prediction, target, valid=valid)
    np.testing.assert_allclose(out[:, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_mask_of_another_shape_is_refused(name):
    image = np.zeros((2, 12, 13, 3), np.float32)
    for shape in ((12, 13), (2, 13, 12), (2, 12, 13, 1)):
        with pytest.raises(ValueError, match=r"valid must be \[\*b, h, w\] = \(2, 12, 13\), got"):
            FUNCTIONS[name](image, image, valid=np.ones(shape))


@pytest.mark.parametrize(
    "function",
    [
        functools.partial(metrics.ms_ssim, weights=(1.0,)),
        functools.partial(metrics.perceptual, features=lambda x: [x]),
        functools.partial(features.content_loss, features=lambda x: x),
    ],
)
def test_where_padding_cannot_be_left_out_a_mask_is_refused(function):
    image = np.full((12, 13, 3), 0.5, np.float32)
    assert np.isfinite(function(image, image, valid=None))
    with pytest.raises(ValueError, match="does not support valid, since .*: crop the images"):
        function(image, image, valid=np.ones((12, 13)))

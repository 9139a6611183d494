"""Colour curves and spaces against scikit-image, their inverses, and their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import color


@pytest.fixture
def image():
    values = np.random.default_rng(0).uniform(size=(9, 7, 3))
    values[0, 0] = 0.0
    values[0, 1] = 1.0
    values[0, 2] = (0.04045, 0.02, 0.0405)
    return values


def test_lab_agrees_with_scikit_image(image):
    skimage_color = pytest.importorskip("skimage.color", reason="scikit-image is not installed")
    # The only difference is the white point: here it is the exact sum of the primaries.
    np.testing.assert_allclose(color.srgb_to_lab(image), skimage_color.rgb2lab(image), atol=0.02)


def test_linear_agrees_with_scikit_image(image):
    skimage_color = pytest.importorskip("skimage.color", reason="scikit-image is not installed")
    xyz = skimage_color.rgb2xyz(image)
    linear = color.srgb_to_linear(image)
    np.testing.assert_allclose(linear @ color._XYZ_FROM_LINEAR.T, xyz, atol=1e-6)
    np.testing.assert_allclose(skimage_color.rgb2gray(image), color.luminance(image), atol=2e-4)


def test_curves_are_each_others_inverse():
    values = np.linspace(-0.2, 1.5, 1001)
    np.testing.assert_allclose(
        color.linear_to_srgb(color.srgb_to_linear(values)), values, atol=1e-6
    )


def test_known_values():
    np.testing.assert_allclose(
        color.srgb_to_linear(np.array([0.0, 0.5, 1.0])), [0, 0.2140411, 1], atol=1e-7
    )
    np.testing.assert_allclose(color.luminance(np.eye(3)), color.LUMINANCE_WEIGHTS)
    luma = color.luma(np.eye(3), weights=color.LUMA_BT601)
    np.testing.assert_allclose(luma, color.LUMA_BT601)
    colors = np.random.default_rng(0).random((2, 3, 3))
    gray = color.gray(colors)
    assert gray.shape == (2, 3, 1) and gray.dtype == np.float64
    np.testing.assert_allclose(gray[..., 0], colors @ [0.2989, 0.5870, 0.1140])
    gray = color.gray(jnp.asarray(colors, jnp.float16), weights=color.LUMA_BT601)
    assert gray.dtype == jnp.float16
    with pytest.raises(ValueError, match=r"3 colour channels, got shape \(2, 3, 1\)"):
        color.gray(gray)
    white = color.srgb_to_lab(np.ones((1, 3)))
    np.testing.assert_allclose(white, [[100.0, 0.0, 0.0]], atol=1e-10)


def test_greys_have_no_chroma():
    greys = np.linspace(0, 1, 11)[:, None] * np.ones((1, 3))
    np.testing.assert_allclose(color.srgb_to_lab(greys)[:, 1:], 0.0, atol=1e-10)


@pytest.mark.parametrize(
    "function", [color.srgb_to_linear, color.linear_to_srgb, color.luminance, color.srgb_to_lab]
)
def test_numpy_stays_numpy_and_jax_agrees(function, image):
    expected = function(image)
    assert isinstance(expected, np.ndarray) and expected.dtype == np.float64
    assert function(image.astype(np.float32)).dtype == np.float32
    actual = jax.jit(function)(jnp.asarray(image, jnp.float32))
    assert isinstance(actual, jax.Array) and actual.dtype == jnp.float32
    np.testing.assert_allclose(
        actual, expected, atol=2e-4 if function is color.srgb_to_lab else 2e-6
    )


@pytest.mark.parametrize(
    "function", [color.srgb_to_linear, color.linear_to_srgb, color.luminance, color.srgb_to_lab]
)
@pytest.mark.parametrize("value", [-0.5, 0.0, 1e-12, 0.0031308, 0.04045, 1.0, 2.0])
def test_gradients_are_finite(function, value):
    gradient = jax.grad(lambda x: function(x).sum())(jnp.full((1, 3), value))
    assert bool(jnp.all(jnp.isfinite(gradient)))
    assert bool(jnp.any(gradient != 0))


def test_gradients_agree_with_differences():
    with jax.enable_x64(True):
        x = jnp.asarray([[0.3, 0.02, 0.7]])
        for function in (color.srgb_to_linear, color.linear_to_srgb, color.srgb_to_lab):
            numeric = (function(x + 1e-6) - function(x - 1e-6)) / 2e-6
            _, tangent = jax.jvp(function, (x,), (jnp.ones_like(x),))
            np.testing.assert_allclose(tangent, numeric, rtol=1e-5, atol=1e-6)


def test_errors_name_the_argument():
    with pytest.raises(TypeError, match="uint8"):
        color.srgb_to_linear(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match=r"\(2, 4\)"):
        color.luminance(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="3 colour"):
        color.srgb_to_lab(jnp.zeros(()))

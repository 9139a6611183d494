"""DPED's losses: published values, the formulas in float64, gradients, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from bilateral_jax.losses import blurred, features, reconstruction, term_shares, variation

# The published code's blur, its 1-D profile from the middle outwards.
TAPS = (
    (0.086966, 0.085025, 0.079460, 0.070981, 0.060609, 0.049469)
    + (0.038594, 0.028781, 0.020516, 0.013979, 0.009104)
)  # fmt: skip


@pytest.fixture(scope="module")
def pair():
    """A pair of images for which the values of the published code are known."""
    y, x, c = np.mgrid[:100, :100, :3].astype(np.float64)
    a = 0.5 + 0.4 * np.sin(0.11 * x + 0.07 * y + c)
    b = 0.8 * a + 0.05 + 0.05 * np.sin(0.9 * x + 0.4 * y)
    return a.astype(np.float32), b.astype(np.float32)


def test_published_values(pair):
    a, b = pair
    value = blurred.blurred_color(a, b)
    assert abs(float(value) - 64.0387) < 5e-5 + 64 * 1e-6
    assert abs(float(value) * 2 / a.size - 0.00426925) < 5e-9 + 5e-9
    assert abs(float(variation.total_variation(b)) - 0.00201333) < 5e-9


def test_blur_taps_of_the_published_code():
    taps = blurred.blur_taps("code")
    np.testing.assert_allclose(taps[10:], TAPS, atol=5e-7)
    np.testing.assert_allclose(taps, taps[::-1], rtol=1e-12)
    assert abs(taps.sum() - 1) < 1e-12 and abs(taps[10] ** 2 - 0.0075631) < 5e-8
    np.testing.assert_allclose(taps, blurred.blur_taps(4.707), atol=2e-5)


def test_blur_taps_of_the_paper_have_variance_3():
    weights = np.outer(blurred.blur_taps("paper"), blurred.blur_taps("paper"))
    assert abs(weights[10, 10] - 0.053) < 1e-12 and abs(weights.sum() - 0.999) < 5e-4
    distance = np.arange(-10, 11)
    assert abs((weights.sum(0) * distance**2).sum() / weights.sum() - 3) < 0.01


@pytest.mark.parametrize("blur", ["code", "paper", 3.0])
def test_blurred_color_agrees_with_scipy(blur):
    a, b = np.random.default_rng(0).random((2, 2, 17, 23, 3))
    taps = blurred.blur_taps(blur)
    once = ndimage.convolve1d(a - b, taps, axis=1, mode="constant")
    twice = ndimage.convolve1d(once, taps, axis=2, mode="constant")
    expected = (twice**2).sum((1, 2, 3))
    a, b = a.astype(np.float32), b.astype(np.float32)
    np.testing.assert_allclose(blurred.blurred_color(a, b, blur=blur), expected / 2, rtol=1e-5)
    np.testing.assert_allclose(
        blurred.blurred_color(a, b, blur=blur, form="paper"), expected, rtol=1e-5
    )


def test_a_cropped_blur_is_the_middle_of_the_whole_one():
    """Where nothing depends on what lies beyond the image: a constant stays what it is."""
    image = np.random.default_rng(0).random((2, 24, 31, 3), np.float32)
    whole, cropped = (blurred.blur_image(image, crop=crop) for crop in (False, True))
    assert whole.shape == image.shape and cropped.shape == (2, 4, 11, 3)
    np.testing.assert_allclose(cropped, whole[:, 10:-10, 10:-10], atol=1e-6)
    constant = jnp.full((21, 22, 1), 0.7)
    np.testing.assert_allclose(blurred.blur_image(constant, crop=True), 0.7, atol=1e-6)
    assert float(blurred.blur_image(constant)[0, 0, 0]) < 0.3
    checkerboard = 0.05 * (-1.0) ** np.add.outer(np.arange(40), np.arange(40))[..., None]
    assert np.abs(blurred.blur_image(checkerboard, crop=True)).max() < 1e-4


def test_total_variation_in_both_forms():
    image = np.random.default_rng(0).random((2, 3, 5, 4, 3))
    down, right = np.diff(image, axis=2), np.diff(image, axis=3)
    code = (down**2).mean((2, 3, 4)) + (right**2).mean((2, 3, 4))
    paper = np.sqrt(((down[..., :-1, :] + right[..., :-1, :, :]) ** 2).sum((2, 3, 4))) / 60
    image = image.astype(np.float32)
    np.testing.assert_allclose(variation.total_variation(image), code, rtol=1e-5)
    np.testing.assert_allclose(variation.total_variation(image, form="paper"), paper, rtol=1e-5)


def test_content_loss_in_both_forms():
    a, b = np.random.default_rng(0).random((2, 3, 6, 4, 3), np.float32)
    halved = lambda x: x.reshape(3, 3, 2, 2, 2, 3).mean((2, 4)) * 5  # noqa: E731
    difference = np.asarray(halved(a), np.float64) - halved(b)
    code = features.content_loss(a, b, features=halved)
    np.testing.assert_allclose(code, (difference**2).mean((1, 2, 3)), rtol=1e-5)
    paper = features.content_loss(a, b, features=halved, form="paper")
    np.testing.assert_allclose(paper, np.sqrt((difference**2).sum((1, 2, 3))) / 18, rtol=1e-5)


def test_content_losses_of_several_layers_are_added():
    a, b = np.random.default_rng(0).random((2, 2, 6, 4, 3), np.float32)
    layers = [lambda x: 2 * x, lambda x: x[:, ::2, ::2] ** 2]
    for form in ("code", "paper"):
        together = features.content_loss(a, b, features=lambda x: [f(x) for f in layers], form=form)
        alone = [features.content_loss(a, b, features=layer, form=form) for layer in layers]
        np.testing.assert_allclose(together, alone[0] + alone[1], rtol=1e-6)
    with pytest.raises(ValueError, match="features must give at least one layer, got none"):
        features.content_loss(a, b, features=lambda x: [])


def test_shares_of_terms():
    terms = {"a": np.float32([3.0, 0.0, 1.0]), "b": np.float32([-1.0, 0.0, 0.0])}
    shares = term_shares.term_shares(terms)
    np.testing.assert_allclose(shares["a_share"], [0.75, 0.0, 1.0])
    np.testing.assert_allclose(shares["b_share"], [0.25, 0.0, 0.0])
    gradient = jax.grad(lambda x: term_shares.term_shares({"a": x, "b": 1.0})["a_share"])(2.0)
    assert gradient == 0
    with pytest.raises(ValueError, match="at least one term, got none"):
        term_shares.term_shares({})


def test_gradients_are_finite_for_equal_images():
    flat = jnp.full((6, 6, 3), 0.25)
    terms = {
        "color": lambda x: blurred.blurred_color(x, flat),
        "variation": lambda x: variation.total_variation(x, form="paper"),
        "content": lambda x: features.content_loss(x, flat, features=lambda y: y, form="paper"),
        "l2_norm": lambda x: reconstruction.l2_norm(x - flat),
    }
    for name, term in terms.items():
        value, gradient = jax.value_and_grad(term)(flat)
        assert float(value) == 0 and not np.any(gradient), name


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda x: blurred.blurred_color(x, x[1:]),
            r"must both be \[\*b, h, w, c\], got \(4, 4, 3\)",
        ),
        (lambda x: blurred.blurred_color(x, x, form="Code"), 'form must be "code" or "paper"'),
        (
            lambda x: blurred.blurred_color(x, x, blur="gauss"),
            "or a positive deviation, got 'gauss'",
        ),
        (lambda x: blurred.blurred_color(x, x, blur=0.0), "or a positive deviation, got 0.0"),
        (
            lambda x: blurred.blur_image(x, crop=True),
            r"must be \[\*b, h, w, c\] with h and w above 20, got \(4, 4, 3\)",
        ),
        (lambda x: blurred.blur_image(x[0]), r"with h and w above 0, got \(4, 3\)"),
        (lambda x: variation.total_variation(x, form="l1"), 'form must be "code" or "paper"'),
        (lambda x: variation.total_variation(x[:1]), "with h and w at least 2, got"),
        (
            lambda x: features.content_loss(x, x, features=lambda y: y[0]),
            r"must give \[\*b, h, w, c\]",
        ),
        (lambda x: features.content_loss(x, x, features=abs, form="l1"), 'form must be "code" or'),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros((4, 4, 3), np.float32))

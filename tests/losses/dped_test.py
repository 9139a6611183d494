"""DPED's losses: published values, the formulas in float64, gradients, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from bilateral_jax.losses import (
    adversarial,
    blurred,
    features,
    reconstruction,
    term_shares,
    variation,
)

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


def test_adversarial_losses_in_all_forms():
    logits = np.random.default_rng(0).normal(size=(2, 3, 2)) * 3
    odds = np.exp(logits[..., 0] - logits[..., 1])
    real, generated = odds / (1 + odds), 1 / (1 + odds)  # softmax as a sigmoid
    expected = {
        "minimax": np.log(generated),
        "non_saturating": -np.log(real),
        "hinge": -np.log(odds),
    }
    for form, values in expected.items():
        actual = adversarial.generator_loss(logits.astype(np.float32), form=form)
        np.testing.assert_allclose(actual, values, rtol=1e-4, err_msg=form)
    mask = np.array([[True, False, True], [False, False, True]])
    entropy = -np.log(np.where(mask, real, generated))
    hinge = np.maximum(0, 1 - np.where(mask, 1, -1) * np.log(odds))
    for form, values in {"minimax": entropy, "non_saturating": entropy, "hinge": hinge}.items():
        actual = adversarial.critic_loss(logits.astype(np.float32), mask, form=form)
        np.testing.assert_allclose(actual, values, rtol=1e-4, atol=1e-6, err_msg=form)


def test_probabilities_are_clipped_to_1e_10():
    """Below that the published code has no gradient either."""
    logits = jnp.array([100.0, -100.0])
    value, gradient = jax.value_and_grad(adversarial.generator_loss)(logits)
    assert abs(float(value) - np.log(1e-10)) < 1e-4 and not np.any(gradient)
    value, gradient = jax.value_and_grad(adversarial.critic_loss)(-logits, True)
    assert abs(float(value) + np.log(1e-10)) < 1e-4 and not np.any(gradient)


def test_gradient_penalty_is_the_squared_gradient_norm_of_the_margin():
    weights = jnp.array(np.random.default_rng(0).normal(size=(2 * 3 * 3, 2)), jnp.float32)
    images = jnp.array(np.random.default_rng(1).random((4, 2, 3, 3)), jnp.float32)
    penalty = adversarial.gradient_penalty(lambda x: x.reshape(4, -1) ** 2 @ weights, images)
    gradient = 2 * np.asarray(images).reshape(4, -1) * np.asarray(weights[:, 0] - weights[:, 1])
    np.testing.assert_allclose(penalty, (gradient**2).sum(-1), rtol=1e-5)


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
        (lambda x: variation.total_variation(x, form="l1"), 'form must be "code" or "paper"'),
        (lambda x: variation.total_variation(x[:1]), "with h and w at least 2, got"),
        (
            lambda x: features.content_loss(x, x, features=lambda y: y[0]),
            r"must give \[\*b, h, w, c\]",
        ),
        (lambda x: features.content_loss(x, x, features=abs, form="l1"), 'form must be "code" or'),
        (lambda x: adversarial.generator_loss(x), r"logits must be \[\*b, 2\], got \(4, 4, 3\)"),
        (lambda x: adversarial.generator_loss(x[..., :2], form="wgan"), "form must be one of"),
        (
            lambda x: adversarial.critic_loss(x[..., :2], x[0, 0] > 0),
            r"real must be \[\*b\] = \(4, 4\)",
        ),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros((4, 4, 3), np.float32))

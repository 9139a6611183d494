"""Adversarial losses: the equations in float64 for every kind of scores, clipping, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax.losses import adversarial


def by_equations(score, real, form):
    """(generator's loss, critic's loss) of one score, as the table of the module states them."""
    p = 1 / (1 + np.exp(-score))
    entropy = -np.log(p if real else 1 - p)
    return {
        "minimax": (np.log(1 - p), entropy),
        "non_saturating": (-np.log(p), entropy),
        "hinge": (-score, max(0, 1 - score if real else 1 + score)),
        "least_squares": ((score - 1) ** 2, (score - real) ** 2),
        "wasserstein": (-score, -score if real else score),
    }[form]


def scores_of(kind):
    """Scores of three images, and the same as a list of numbers for each of them."""
    rng = np.random.default_rng(0)
    scores = 3 * rng.normal(size={"score": (3,), "logits": (3, 2), "map": (3, 4, 5)}[kind])
    if kind == "logits":
        return scores, [[real - generated] for real, generated in scores]
    return scores, scores.reshape(3, -1)


@pytest.mark.parametrize("kind", ["score", "logits", "map"])
@pytest.mark.parametrize("form", adversarial.FORMS)
def test_losses_are_those_of_the_equations(form, kind):
    scores, numbers = scores_of(kind)
    mask = np.array([True, False, True])
    values = [
        np.mean([by_equations(score, real, form) for score in of_image], axis=0)
        for of_image, real in zip(numbers, mask, strict=True)
    ]
    generator, critic = np.transpose(values)
    scores = scores.astype(np.float32)
    close = {"rtol": 2e-5, "atol": 1e-6}
    actual = adversarial.generator_loss(scores, form=form)
    np.testing.assert_allclose(actual, generator, **close)
    actual = adversarial.critic_loss(scores, mask, form=form)
    np.testing.assert_allclose(actual, critic, **close)
    for real in (True, False):
        single = adversarial.critic_loss(scores, real, form=form)
        np.testing.assert_array_equal(
            single, adversarial.critic_loss(scores, np.full(3, real), form=form)
        )
    np.testing.assert_allclose(
        adversarial.example_scores(scores), [np.mean(each) for each in numbers], **close
    )


@pytest.mark.parametrize("form", adversarial.FORMS)
def test_two_logits_are_one_score(form):
    """The second logit may as well be 0, in values and gradients."""
    scores = jnp.array([-2.0, 0.3, 4.0])
    pairs = jnp.stack([scores, jnp.zeros(3)], -1)
    real = jnp.array([True, False, False])
    losses = (
        lambda x: adversarial.generator_loss(x, form=form),
        lambda x: adversarial.critic_loss(x, real, form=form),
    )
    for loss in losses:
        (one, pull_one), (two, pull_two) = jax.vjp(loss, scores), jax.vjp(loss, pairs)
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
        gradient = pull_two(jnp.ones(3))[0]
        np.testing.assert_allclose(pull_one(jnp.ones(3))[0], gradient[:, 0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(gradient.sum(1), 0, atol=1e-6)


@pytest.mark.parametrize("kind", ["score", "logits", "map"])
@pytest.mark.parametrize("form", adversarial.FORMS)
def test_accuracy_is_measured_between_what_the_scores_are_to_be(form, kind):
    middle = 0.5 if form == "least_squares" else 0.0
    scores = middle + np.float32([0.1, 0.1, -0.1, -0.1])
    if kind == "map":  # their mean counts
        scores = scores[:, None, None] + np.float32([[-3, 3]])
    if kind == "logits":
        scores = np.stack([scores + 2, np.full(4, 2, np.float32)], -1)
    found = adversarial.accuracy(scores, [True, False, True, False], form=form)
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, [1, 0, 0, 1])
    np.testing.assert_array_equal(adversarial.accuracy(scores, True, form=form), [1, 1, 0, 0])


def test_probabilities_of_logits_are_clipped_to_1e_10():
    """Below that the published code has no gradient either; scores keep theirs."""
    logits = jnp.array([[100.0, -100.0]])
    loss = lambda x: adversarial.generator_loss(x)[0]  # noqa: E731
    value, gradient = jax.value_and_grad(loss)(logits)
    assert abs(float(value) - np.log(1e-10)) < 1e-4 and not np.any(gradient)
    loss = lambda x: adversarial.critic_loss(x, True)[0]  # noqa: E731
    value, gradient = jax.value_and_grad(loss)(-logits)
    assert abs(float(value) + np.log(1e-10)) < 1e-4 and not np.any(gradient)
    value, gradient = jax.value_and_grad(loss)(jnp.array([-200.0]))
    assert abs(float(value) - 200) < 1e-4 and abs(float(gradient[0]) + 1) < 1e-6


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.int32])
def test_losses_are_float32(dtype):
    scores = jnp.array([[[3, -2], [4, 1]]], dtype)
    for form in adversarial.FORMS:
        for value in (
            adversarial.generator_loss(scores, form=form),
            adversarial.critic_loss(scores, True, form=form),
        ):
            assert value.dtype == jnp.float32 and value.shape == (1,)
            assert np.isfinite(value).all()


@pytest.mark.parametrize("shape", [(), (4, 1), (4, 3), (4, 3, 3, 1)])
def test_scores_of_another_shape_are_named(shape):
    scores = np.zeros(shape, np.float32)
    message = (
        rf"scores must be \[b\], \[b, 2\] .* or \[b, h, w\], got \({', '.join(map(str, shape))}"
    )
    if shape[-1:] == (1,):
        message += r"\); scores\[\.\.\., 0\] leaves out the last axis"
    calls = (
        adversarial.generator_loss,
        adversarial.example_scores,
        lambda scores: adversarial.critic_loss(scores, True),
        lambda scores: adversarial.accuracy(scores, True),
    )
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call(scores)


def test_errors_name_the_argument():
    scores = np.zeros((4, 2), np.float32)
    with pytest.raises(ValueError, match="form must be one of .*'wasserstein'.*got 'wgan'"):
        adversarial.generator_loss(scores, form="wgan")
    with pytest.raises(ValueError, match="form must be one of .*got None"):
        adversarial.critic_loss(scores, True, form=None)
    with pytest.raises(ValueError, match=r"real must be \[b\] = \(4,\) or one bool, got \(4, 2\)"):
        adversarial.critic_loss(scores, scores > 0)
    with pytest.raises(ValueError, match=r"real must be \[b\] = \(4,\) or one bool, got \(3,\)"):
        adversarial.accuracy(scores, [True] * 3)
    with pytest.raises(ValueError, match="form must be one of .*got 'wgan'"):
        adversarial.accuracy(scores, True, form="wgan")

    for real in (0.9, np.full(4, 0.9), float("nan"), None, "real"):
        with pytest.raises(TypeError, match="real must be bool, or int of 0 and 1, got"):
            adversarial.critic_loss(scores, real)

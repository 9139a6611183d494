"""Penalties of a critic's gradient: values by hand, finite derivatives at 0, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax.losses import gradient_penalties

pytestmark = pytest.mark.usefixtures("compiled_quickly")


def linear(norms):
    """A critic whose gradient at image i has the norm `norms[i]`."""
    direction = np.random.default_rng(0).normal(size=(len(norms), 4, 5, 3))
    direction /= np.sqrt(np.square(direction).sum((1, 2, 3), keepdims=True))
    slope = jnp.asarray(direction * np.reshape(norms, (-1, 1, 1, 1)), jnp.float32)
    return lambda images: (slope * images).sum((1, 2, 3))


def images_of(count):
    return jnp.asarray(np.random.default_rng(1).random((count, 4, 5, 3)), jnp.float32)


def test_values_of_known_gradient_norms():
    norms = np.array([0.5, 1.3, 2.0])
    expected = {
        "one_sided": [0, 0.3, 1.0],
        "two_sided": [0.25, 0.09, 1.0],
        "zero_centred": [0.25, 1.69, 4.0],
    }
    for form, values in expected.items():
        actual = gradient_penalties.penalty(linear(norms), images_of(3), form=form)
        assert actual.dtype == jnp.float32
        np.testing.assert_allclose(actual, values, rtol=1e-5, atol=1e-6, err_msg=form)
    one_sided = lambda *norms: gradient_penalties.penalty(  # noqa: E731
        linear(norms), images_of(len(norms)), form="one_sided"
    )
    assert abs(float(one_sided(0.5, 1.3, 2.0).mean()) - 0.43333) < 1e-5
    np.testing.assert_allclose(one_sided(0.9, 1.1), [0, 0.1], atol=1e-6)


@pytest.mark.parametrize("form", gradient_penalties.FORMS)
def test_every_kind_of_scores_has_its_own_gradient(form):
    """The penalty of two logits is that of their difference, of a map that of its mean."""
    weights = jnp.asarray(np.random.default_rng(0).normal(size=(2, 60)), jnp.float32)
    features = lambda x: jnp.square(x.reshape(4, -1))  # noqa: E731
    pairs = gradient_penalties.penalty(lambda x: features(x) @ weights.T, images_of(4), form=form)
    single = gradient_penalties.penalty(
        lambda x: features(x) @ (weights[0] - weights[1]), images_of(4), form=form
    )
    np.testing.assert_allclose(pairs, single, rtol=1e-4, atol=1e-6)
    patches = gradient_penalties.penalty(
        lambda x: 60 * (jnp.square(x) * weights[0].reshape(1, 4, 5, 3)).mean(3) * 3,
        images_of(4),
        form=form,
    )
    gradient = 6 * np.asarray(images_of(4)).reshape(4, 60) * np.asarray(weights[0])
    norm = np.sqrt(np.square(gradient).sum(1))
    expected = {
        "one_sided": np.maximum(0, norm - 1),
        "two_sided": (norm - 1) ** 2,
        "zero_centred": norm**2,
    }[form]
    np.testing.assert_allclose(patches, expected, rtol=1e-4)


@pytest.mark.parametrize("form", gradient_penalties.FORMS)
def test_derivatives_are_finite_where_the_gradient_is_0(form):
    images = images_of(2)
    value = lambda scale: gradient_penalties.penalty(  # noqa: E731
        lambda x: scale * jnp.square(x).sum((1, 2, 3)), images, form=form
    ).sum()
    assert np.isfinite([jax.grad(value)(0.0), jax.grad(jax.grad(value))(0.0)]).all()
    at_0 = lambda x: gradient_penalties.penalty(  # noqa: E731
        lambda images: jnp.square(images).sum((1, 2, 3)), x, form=form
    ).sum()
    assert np.isfinite(jax.grad(at_0)(jnp.zeros_like(images))).all()


def test_the_penalty_is_that_between_the_images():
    slope = np.random.default_rng(0).normal(size=(4, 5, 3))
    real, generated = np.random.default_rng(1).random((2, 2, 4, 5, 3))
    fraction = np.array([0.25, 0.75])
    between = gradient_penalties.interpolate(
        real.astype(np.float32), generated.astype(np.float32), jnp.asarray(fraction, jnp.float32)
    )
    expected = np.stack([f * x + (1 - f) * y for f, x, y in zip(fraction, real, generated)])  # noqa: B905
    np.testing.assert_allclose(between, expected, atol=1e-6)
    critic = lambda x: (jnp.square(x) * slope[None].astype(np.float32)).sum((1, 2, 3)) / 2  # noqa: E731
    value = gradient_penalties.penalty(critic, between, form="two_sided")
    norm = np.sqrt(np.square(expected * slope).sum((1, 2, 3)))
    np.testing.assert_allclose(value, (norm - 1) ** 2, rtol=1e-5)


def test_points_instead_of_images():
    """For experiments on points of the plane: all axes but the first belong to one example."""
    points = jnp.array([[3.0, 4.0], [0.3, 0.4]])
    value = gradient_penalties.penalty(
        lambda x: jnp.square(x).sum(1) / 2, points, form="zero_centred"
    )
    np.testing.assert_allclose(value, [25, 0.25], rtol=1e-6)
    between = gradient_penalties.interpolate(points, 0 * points, jnp.array([0.5, 1.0]))
    np.testing.assert_allclose(between, [[1.5, 2], [0.3, 0.4]])


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_sums_are_in_float32(dtype):
    """Half a million equal numbers overflow float16 and stop counting in bfloat16."""
    images = jnp.full((1, 512, 512, 2), 0.5, dtype)
    critic = lambda x: jnp.square(x.astype(jnp.float32)).sum((1, 2, 3))  # noqa: E731
    value = gradient_penalties.penalty(critic, images, form="zero_centred")
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, 512 * 512 * 2, rtol=1e-4)


def test_errors_name_the_argument():
    images, score = images_of(4), lambda x: x.sum((1, 2, 3))
    penalty = gradient_penalties.penalty
    with pytest.raises(ValueError, match="form must be one of .*'two_sided'.*got 'r1'"):
        penalty(score, images, form="r1")
    with pytest.raises(TypeError, match="images must be float .*got uint8"):
        penalty(score, np.zeros((2, 4, 5, 3), np.uint8), form="one_sided")
    with pytest.raises(ValueError, match=r"scores must be \[b\].*got \(4, 4\)"):
        penalty(lambda x: x.sum((2, 3)), images, form="one_sided")
    with pytest.raises(ValueError, match=r"one score .* got scores of 5 examples .*\(4, 4, 5, 3\)"):
        penalty(lambda x: x.sum((0, 1, 3)), images, form="one_sided")
    with pytest.raises(ValueError, match=r"got scores of 4 examples for images \(4,\)"):
        penalty(lambda x: x, images[:, 0, 0, 0], form="one_sided")
    fraction = jnp.ones(4)
    with pytest.raises(ValueError, match=r"one shape, got \(4, 4, 5, 3\) and \(4, 3, 5, 3\)"):
        gradient_penalties.interpolate(images, images[:, 1:], fraction)
    with pytest.raises(ValueError, match=r"fraction must be \[b\], .*\(4, 4, 5, 3\), got \(3,\)"):
        gradient_penalties.interpolate(images, images, fraction[1:])

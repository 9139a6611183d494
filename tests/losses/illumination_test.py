"""UPE's losses: golden values, loops, gradients, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax.losses import illumination, reconstruction
from bilateral_jax.models import upe


def example():
    """Photo, illumination, target [8, 8, 3] in float64."""
    y, x, c = np.meshgrid(*map(np.arange, (8, 8, 3)), indexing="ij")
    photo = 0.1 + 0.4 * ((x * (c + 1) + 2 * y) % 17) / 16
    transform = 0.5 + 0.3 * ((2 * x + y * (c + 1)) % 11) / 10
    return photo, np.maximum(np.minimum(transform, 1), photo), np.minimum(1, 1.5 * photo)


def terms(photo, light, target):
    result = upe.reflectance(photo, light)
    return (
        reconstruction.mse(result, target),
        illumination.color_loss(result, target),
        illumination.smoothness_loss(light, photo),
    )


def test_golden_values():
    photo, light, target = example()
    golden = 0.00598549, 0.00538940, 2.788025
    with jax.enable_x64(True):
        double = [float(value) for value in terms(photo, light, target)]
        paper = float(reconstruction.mse(light * target, photo))
    for value, expected, half_a_digit in zip(double, golden, (5e-9, 5e-9, 5e-7), strict=True):
        assert value == pytest.approx(expected, rel=0, abs=half_a_digit)
    assert double[0] + 2 * double[2] + double[1] == pytest.approx(5.587424, abs=5e-7)
    assert paper == pytest.approx(((photo - light * target) ** 2).mean(), rel=1e-6)
    # Equal lumas differ by float32 rounding, which the weight 1 / (0 + 1e-4) magnifies.
    single = terms(*(np.float32(x) for x in (photo, light, target)))
    np.testing.assert_allclose(single, golden, rtol=4e-5)


def test_smoothness_loss_agrees_with_the_loop():
    rng = np.random.default_rng(0)
    photo, light = rng.random((2, 2, 5, 4, 3))
    luma = np.log(photo @ [0.2989, 0.5870, 0.1140] + 1e-4)
    expected = np.zeros(2)
    for b, y, x, c in np.ndindex(2, 4, 3, 3):
        for dy, dx in ((0, 1), (1, 0)):
            weight = 1.5 / (abs(luma[b, y, x] - luma[b, y + dy, x + dx]) ** 1.2 + 1e-4)
            expected[b] += weight * (light[b, y, x, c] - light[b, y + dy, x + dx, c]) ** 2
    out = illumination.smoothness_loss(np.float32(light), np.float32(photo))
    assert out.shape == (2,) and out.dtype == jnp.float32
    np.testing.assert_allclose(out, expected / (4 * 3 * 3) / 2, rtol=1e-5)


def test_smoothness_loss_of_constant_illumination_is_zero():
    photo = np.random.default_rng(0).random((6, 7, 3), np.float32)
    assert float(illumination.smoothness_loss(np.full_like(photo, 0.3), photo)) == 0
    # flat photo, one step in the light: the full weight of 1.5 / 1e-4
    light = np.zeros((3, 3, 1), np.float32)
    light[:, 1:] = 0.1
    expected = 15_000 * 0.01 * 2 / 4 / 2
    flat = np.full((3, 3, 3), 0.5, np.float32)
    assert float(illumination.smoothness_loss(light, flat)) == pytest.approx(expected, rel=1e-5)


def test_losses_of_the_true_illumination_are_zero():
    target = np.random.default_rng(0).uniform(0.3, 1, (4, 5, 3)).astype(np.float32)
    light = np.full_like(target, 0.25)
    photo = light * target
    assert float(reconstruction.mse(light * target, photo)) == 0
    result = upe.reflectance(photo, light)
    assert float(reconstruction.mse(result, target)) < 2e-5  # the constant of the division
    assert float(illumination.color_loss(result, target)) < 1e-6


def test_color_loss_is_the_angle_or_its_cosine():
    rng = np.random.default_rng(1)
    one, two = rng.uniform(0.01, 1, (2, 3, 4, 5, 3))
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(two, axis=-1)
    cosine = (one * two).sum(-1) / lengths
    one, two = np.float32(one), np.float32(two)
    out = illumination.color_loss(one, two)
    np.testing.assert_allclose(out, (1 - cosine).mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(
        illumination.color_loss(one, two, form="angle"), np.arccos(cosine).mean((1, 2)), rtol=1e-5
    )
    # brightness does not matter, and equal colours are at 0
    np.testing.assert_allclose(illumination.color_loss(0.1 * one, 0.1 * two), out, rtol=1e-5)
    np.testing.assert_allclose(illumination.color_loss(one, 0.5 * one, form="angle"), 0, atol=1e-3)


def test_color_loss_of_black():
    black, white = np.zeros((2, 2, 3), np.float32), np.ones((2, 2, 3), np.float32)
    assert float(illumination.color_loss(black, white)) == 1  # as in the published graph
    assert float(illumination.color_loss(black, white, form="angle")) == 0


def test_gradients_are_finite_at_singularities():
    black, grey, white = (jnp.full((3, 3, 3), value) for value in (0.0, 0.5, 1.0))
    pairs = [(x, y) for x in (black, white) for y in (grey, x)]
    one, two = (jnp.stack(side) for side in zip(*pairs, *[(y, x) for x, y in pairs], strict=True))

    def smoothness(light, photo):
        return illumination.smoothness_loss(light, photo).sum()

    @jax.jit
    def gradients(one, two):
        forms = [
            jax.grad(lambda x, form=form: illumination.color_loss(x, two, form=form).sum())(one)
            for form in illumination.FORMS
        ]
        return *forms, *jax.grad(smoothness, (0, 1))(one.at[:, 1].set(0.2), two)

    *colours, light, photo = gradients(one, two)
    assert all(bool(jnp.isfinite(each).all()) for each in (*colours, light))
    assert float(abs(light).max()) > 1 and not np.asarray(photo).any()


def test_errors_name_the_argument():
    photo = np.zeros((4, 5, 3))
    with pytest.raises(ValueError, match=r"got \(4, 4, 3\) and \(4, 5, 3\)"):
        illumination.smoothness_loss(photo[:, :4], photo)
    with pytest.raises(ValueError, match="at least 2 x 2"):
        illumination.smoothness_loss(photo[:1], photo[:1])
    with pytest.raises(ValueError, match=r"form must be one of .*, got 'sine'"):
        illumination.color_loss(photo, photo, form="sine")
    with pytest.raises(ValueError, match=r"got \(4, 5, 1\)"):
        illumination.color_loss(photo[..., :1], photo[..., :1])

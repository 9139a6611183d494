"""Local contrast: published results reproduced, layers, gradients; operators by name."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import test_util

from bilateral_jax import color, images
from bilateral_jax.filters import local_contrast, local_laplacian, operators, pyramids
from tests import assets

pytestmark = pytest.mark.usefixtures("compiled_quickly")

PHOTOS = ("a0535", "a2995")  # one of each size


def photo(*size):
    return np.random.default_rng(0).uniform(0.1, 0.7, (*size, 3)).astype(np.float32)


@functools.cache
def compiled(name, **options):
    return jax.jit(operators.make(name, **options))


@pytest.mark.parametrize("name", PHOTOS)
def test_boost_reproduces_published_results(name):
    source, expected = (
        images.read(assets.path("fivek_sample", kind, f"{name}.png")).pixels
        for kind in ("input", "fllf")
    )
    out = images.to_integer(np.asarray(compiled("local_contrast")(images.to_float(source))), 8)
    difference = np.abs(out.astype(int) - expected)
    assert difference.max() <= 1 and np.mean(difference == 0) > 0.998


def test_published_parameters_are_needed():
    """With one brightness less, the error exceeds a level: the agreement is not a coincidence."""
    source, expected = (
        images.read(assets.path("fivek_sample", kind, "a0535.png")).pixels
        for kind in ("input", "fllf")
    )
    out = compiled("local_contrast", samples=19)(images.to_float(source))
    difference = np.abs(images.to_integer(np.asarray(out), 8).astype(int) - expected)
    assert np.mean(difference > 1) > 0.001


@pytest.mark.parametrize("size", [(1, 1), (5, 4)])
def test_kernels_keep_constants_and_collapse(size):
    plane = jnp.float32(np.random.default_rng(0).standard_normal(size))

    @jax.jit
    def decompose_and_collapse(plane):
        constant, again = [], []
        for border in pyramids.BORDERS:
            kernel = pyramids.Kernel(0.4, border)
            constant += pyramids.gaussian(jnp.full(size, 0.7), 3, kernel=kernel)
            bands = pyramids.laplacian(plane, 3, kernel=kernel)
            again.append(pyramids.collapse(bands, kernel=kernel))
        return constant, again

    constant, again = decompose_and_collapse(plane)
    for level in constant:
        np.testing.assert_allclose(level, 0.7, rtol=1e-6)
    for result in again:
        np.testing.assert_allclose(result, plane, atol=2e-6)


def test_the_renormalised_kernel_agrees_with_the_loop():
    taps, plane = np.array([1, 5, 8, 5, 1]) / 20, np.random.default_rng(0).standard_normal((5, 4))
    expected, doubled = np.zeros((3, 2)), np.zeros((5, 4))
    for target, source, step in ((expected, plane, 1), (doubled, plane[:3, :2], 2)):
        for pixel in np.ndindex(target.shape):
            total = weight = 0.0
            for other in np.ndindex(source.shape):
                # Per axis, the tap of the source pixel.
                index = [step * o - (2 // step) * p + 2 for o, p in zip(other, pixel, strict=True)]
                if all(0 <= tap < 5 for tap in index):
                    product = taps[index[0]] * taps[index[1]]
                    total, weight = total + product * source[other], weight + product
            target[pixel] = total / weight
    actual = pyramids.downsample(jnp.float32(plane), kernel=pyramids.PUBLISHED)
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    actual = pyramids.upsample(jnp.float32(plane[:3, :2]), 5, 4, kernel=pyramids.PUBLISHED)
    np.testing.assert_allclose(actual, doubled, atol=1e-6)


def test_gain_adds_the_same_amount_to_all_large_differences():
    plane = jnp.float32([0.5, 0.55, 0.6, 0.7, 0.9])
    remapped = local_laplacian.remap(plane, 0.5, sigma=0.1, gain=3.0, noise=1e-6)
    np.testing.assert_allclose(remapped, [0.5, 0.65, 0.8, 0.9, 1.1], atol=1e-6)
    held = local_laplacian.remap(plane, 0.5, sigma=0.1, gain=3.0, noise=0.06)
    np.testing.assert_allclose(held[:2], plane[:2], atol=1e-6)


def test_brightness_outside_the_span_is_clamped():
    plane = jnp.float32(photo(9, 8)[..., 0])
    options = {"sigma": 0.2, "gain": 2.0, "samples": 5, "noise": 1e-6}
    narrow = local_laplacian.fast(plane, span=(0.3, 0.5), **options)
    assert np.abs(narrow - plane).max() > 0.05
    with pytest.raises(ValueError, match="first < last"):
        local_laplacian.fast(plane, span=(1.0, 0.0), **options)


def test_multilayer_is_the_identity_by_default_and_each_option_has_its_effect():
    image = photo(24, 20)
    run = jax.jit(local_contrast.multilayer, static_argnames="radii")
    np.testing.assert_allclose(run(image), image, atol=1e-6)

    def spread(values):
        return float(np.std(color.luma(np.asarray(values), weights=color.LUMA_BT601)))

    assert spread(run(image, gains=(2.0, 1.0, 1.0))) > 1.1 * spread(image)
    assert spread(run(image, gains=(0.0, 1.0, 1.0))) < 0.95 * spread(image)
    # If everything counts as noise, or as edges, nothing changes.
    for held in ({"noise": 10.0}, {"edge": 1e-3}):
        np.testing.assert_allclose(run(image, gains=(2.0, 2.0, 2.0), **held), image, atol=2e-3)
    slope = np.broadcast_to(np.linspace(0.1, 0.8, 20)[None, :, None], (24, 20, 3)).astype(
        np.float32
    )
    flatter = np.asarray(run(slope, compression=0.5))
    assert spread(flatter) < 0.95 * spread(slope)
    lifted = np.asarray(run(slope, lift=1.0))
    assert (lifted[:, 2] - slope[:, 2]).min() > (lifted[:, 17] - slope[:, 17]).max()
    with pytest.raises(ValueError, match="2 radii and 3 gains"):
        local_contrast.multilayer(image, radii=(1, 2))


def test_multilayer_gradients_agree_with_differences():
    image = jnp.float32(photo(6, 7))

    @jax.jit
    def total(image, gains, compression, lift):
        options = {"gains": gains, "compression": compression, "lift": lift, "radii": (1, 2)}
        return jnp.sum(jnp.sin(3 * local_contrast.multilayer(image, **options)))

    at = (image, jnp.float32([1.4, 1.8]), jnp.float32(0.8), jnp.float32(0.3))
    test_util.check_grads(total, at, order=1, modes=["rev"], atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("name", sorted(operators.OPERATORS))
def test_operators_return_photos_and_finite_gradients(name):
    image = photo(18, 17)
    image[:5, :5], image[-5:, -5:] = 0.0, 1.0
    out = compiled(name)(image)
    assert out.shape == image.shape and out.dtype == jnp.float32
    assert 0 <= float(out.min()) and float(out.max()) <= 1
    assert np.abs(np.asarray(out) - image).max() > 0.01
    slope = jax.jit(jax.grad(lambda x: jnp.sum(jnp.square(operators.make(name)(x)))))(image)
    assert bool(jnp.all(jnp.isfinite(slope))) and float(jnp.abs(slope).max()) > 0


@pytest.mark.parametrize("name", sorted(operators.OPERATORS))
def test_operators_name_the_wrong_argument(name):
    operator = operators.make(name)
    with pytest.raises(TypeError, match="floating point"):
        operator(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match=r"3 colour|\[\*b, h, w, 3\]"):
        operator(jnp.zeros((4, 4, 1)))


def test_unknown_operators_and_options_are_refused():
    with pytest.raises(ValueError, match="unknown operator 'sharpen'; known are 'dark_channel"):
        operators.make("sharpen")
    with pytest.raises(TypeError, match="'local_contrast' has no option 'sigmas'; it has "):
        operators.make("local_contrast", sigmas=1)
    assert operators.defaults("local_tone_mapping")["key_value"] == 0.25
    plain = operators.make("local_contrast", gain=1.0)(photo(6, 5))
    np.testing.assert_allclose(plain, photo(6, 5), atol=1e-6)

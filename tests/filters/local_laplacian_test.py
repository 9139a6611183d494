"""The local Laplacian filter: definition, fast form, identity, effects, gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data

from bilateral_jax import color, resize
from bilateral_jax.filters import local_laplacian

pytestmark = pytest.mark.usefixtures("compiled_quickly")

CURVES = {
    "enhance detail": {"sigma": 0.3, "alpha": 0.5, "beta": 1.0},
    "smooth detail": {"sigma": 0.3, "alpha": 2.0, "beta": 1.0},
    "compress": {"sigma": 0.2, "alpha": 1.0, "beta": 0.2},
    "both": {"sigma": 0.25, "alpha": 0.6, "beta": 0.0},
}

# Parameters are traced, so that one compiled function serves every curve.
EXACT = jax.jit(lambda plane, options: local_laplacian.exact(plane, noise=0.05, **options))


@functools.cache
def compiled(samples):
    return jax.jit(
        lambda plane, options: local_laplacian.fast(plane, noise=0.05, samples=samples, **options)
    )


def scene(height=12, width=14):
    """A slope, an edge and texture."""
    rows, columns = np.mgrid[0:height, 0:width]
    texture = np.random.default_rng(0).uniform(-0.1, 0.1, (height, width))
    values = 0.3 * columns / width + 0.5 * (rows + columns > height) + texture
    return jnp.asarray(values, jnp.float32)


def root_mean_square(values):
    return float(np.sqrt(np.mean(np.square(values))))


def remap_scalar(value, center, sigma, alpha, beta, noise):
    """The remapping function of scalars in float64."""
    difference = value - center
    size, sign = abs(difference), np.sign(difference)
    if size > sigma:
        return center + sign * (beta * (size - sigma) + sigma)
    detail = sigma * (size / sigma) ** alpha
    if alpha < 1:
        t = min(max(size / noise - 1, 0), 1)
        detail = size + t * t * (3 - 2 * t) * (detail - size)
    return center + sign * detail


@pytest.mark.parametrize("alpha", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 2.0])
def test_remap_agrees_with_the_scalar_curve(alpha, beta):
    values = np.linspace(-1, 2, 301)
    options = {"sigma": 0.3, "alpha": alpha, "beta": beta, "noise": 0.05}
    expected = [remap_scalar(value, 0.4, **options) for value in values]
    actual = local_laplacian.remap(jnp.asarray(values, jnp.float32), 0.4, **options)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def loop_filter(plane, levels, **options):
    """Algorithm 1 of the paper in float64, with the pyramid loops of the pyramid's own test."""
    from tests.filters.pyramids_test import downsample_loop, upsample_loop

    def gaussian(source, depth):
        stack = [source]
        for _ in range(depth):
            stack.append(downsample_loop(stack[-1]))
        return stack

    guide = gaussian(plane, levels)
    result = guide[-1]
    for level in reversed(range(levels)):
        band = np.zeros(guide[level].shape)
        for pixel in np.ndindex(band.shape):
            remapped = np.vectorize(lambda v, g=guide[level][pixel]: remap_scalar(v, g, **options))(
                plane
            )
            fine, coarse = gaussian(remapped, level + 1)[level:]
            band[pixel] = (fine - upsample_loop(coarse, *fine.shape))[pixel]
        result = band + upsample_loop(result, *band.shape)
    return result


def test_exact_agrees_with_the_loops():
    plane = np.asarray(scene(5, 4), np.float64)
    options = {"sigma": 0.25, "alpha": 0.6, "beta": 0.3, "noise": 0.02}
    exact = jax.jit(functools.partial(local_laplacian.exact, levels=2, **options))
    actual = exact(jnp.asarray(plane, jnp.float32))
    np.testing.assert_allclose(actual, loop_filter(plane, 2, **options), atol=5e-5)


@pytest.mark.parametrize("name", CURVES)
def test_fast_converges_to_exact_with_more_samples(name):
    expected = EXACT(scene(), CURVES[name])
    effect = root_mean_square(expected - scene())
    errors = [
        root_mean_square(compiled(samples)(scene(), CURVES[name]) - expected)
        for samples in (3, 10, 100)
    ]
    assert errors[0] > errors[1] > errors[2], errors
    assert errors[1] < 0.5 * effect and errors[2] < 0.05 * effect, (errors, effect)


@pytest.mark.parametrize("function", [compiled(3), EXACT])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (12, 14)])
def test_identity_parameters_are_the_identity(function, shape):
    options = {"sigma": 0.2, "alpha": 1.0, "beta": 1.0}
    np.testing.assert_allclose(function(scene(*shape), options), scene(*shape), atol=2e-6)


@pytest.mark.parametrize("function", [compiled(3), EXACT])
def test_constants_are_kept(function):
    plane = jnp.full((12, 14), 0.4)
    np.testing.assert_allclose(function(plane, CURVES["both"]), plane, atol=1e-6)


@pytest.mark.parametrize("shift", [-3.0, 10.0])
def test_filter_commutes_with_brightness_shifts(shift):
    """In stops a shift is another exposure."""
    plain = compiled(10)(scene(), CURVES["both"])
    shifted = compiled(10)(scene() + shift, CURVES["both"]) - shift
    np.testing.assert_allclose(shifted, plain, atol=2e-4)


def test_parameters_have_their_effect():
    def roughness(plane):
        """Standard deviation of neighbour differences, away from the edge."""
        return float(np.std(np.diff(plane[:4, :4], axis=1)))

    plane = np.asarray(scene())

    def change(measure, **options):
        options = {"sigma": 0.3, "alpha": 1.0, "beta": 1.0} | options
        return measure(np.asarray(compiled(100)(plane, options))) / measure(plane)

    assert change(roughness, alpha=0.4) > 1.2 and change(roughness, alpha=2.5) < 0.8
    assert change(np.std, beta=0.0, sigma=0.15) < 0.95 < 1.05 < change(np.std, beta=2.0, sigma=0.15)


def test_batches_and_vmap_agree():
    stack = jnp.stack([scene(), 2 * scene(), scene()[::-1]])
    function = compiled(10)
    together = function(stack, CURVES["both"])
    for index in range(3):
        alone = function(stack[index], CURVES["both"])
        np.testing.assert_allclose(together[index], alone, atol=1e-5)
    mapped = jax.vmap(function, (0, None))(stack, CURVES["both"])
    np.testing.assert_allclose(mapped, together, atol=1e-5)
    mapped = EXACT(stack[:2], CURVES["both"])
    np.testing.assert_allclose(mapped[1], EXACT(stack[1], CURVES["both"]), atol=1e-6)


def test_gradients_agree_with_differences():
    with jax.enable_x64(True):
        plane = jnp.asarray(np.asarray(scene(4, 5)), jnp.float64)
        direction = jnp.asarray(np.random.default_rng(1).standard_normal(plane.shape))
        # The extremes carry the nodes of the interpolation, which count as constants.
        still = (plane == plane.max()) | (plane == plane.min())
        direction = jnp.where(still, 0.0, direction)

        @jax.jit
        def total(plane, sigma, alpha, beta):
            filtered = local_laplacian.fast(plane, sigma=sigma, alpha=alpha, beta=beta, samples=6)
            return jnp.sum(jnp.sin(3 * filtered))

        at = (plane, jnp.asarray(0.3), jnp.asarray(0.6), jnp.asarray(0.4))
        gradient = jax.jit(jax.grad(total, argnums=(0, 1, 2, 3)))(*at)
        step = 1e-6
        for index, change in enumerate((direction, 1.0, 1.0, 1.0)):
            ahead, behind = list(at), list(at)
            ahead[index], behind[index] = at[index] + step * change, at[index] - step * change
            numeric = (total(*ahead) - total(*behind)) / (2 * step)
            np.testing.assert_allclose(jnp.sum(gradient[index] * change), numeric, rtol=1e-4)


def test_gradients_are_finite_on_flat_and_black_images():
    @jax.jit
    @jax.grad
    def slope(image):
        options = {"alpha": 0.5, "beta": 0.0, "key_value": 0.3, "shoulder": 4.0}
        return local_laplacian.enhance(image, samples=3, **options).sum()

    for image in (jnp.zeros((4, 5, 3)), jnp.full((4, 5, 3), 0.5), jnp.ones((4, 5, 3))):
        assert bool(jnp.all(jnp.isfinite(slope(image))))


@functools.cache
def enhancer(**options):
    return jax.jit(functools.partial(local_laplacian.enhance, samples=4, **options))


@pytest.mark.parametrize("colors", ["ratios", "each"])
def test_enhance_defaults_are_the_identity(colors):
    image = jnp.asarray(np.random.default_rng(0).uniform(size=(2, 7, 9, 3)), jnp.float32)
    np.testing.assert_allclose(enhancer(colors=colors)(image), image, atol=2e-5)


def test_only_ratios_keeps_channel_ratios():
    image = np.random.default_rng(0).uniform(0.1, 0.4, size=(7, 9, 3)).astype(np.float32)
    options = {"sigma": 1.0, "alpha": 0.6, "beta": 0.3}
    before = color.srgb_to_linear(image)
    deviations = {}
    for colors in ("ratios", "each"):
        after = color.srgb_to_linear(np.asarray(enhancer(colors=colors, **options)(image)))
        ratio = (after / before) / (after / before).mean(axis=-1, keepdims=True)
        deviations[colors] = np.abs(ratio - 1).max()
    assert deviations["ratios"] < 1e-3 < 0.05 < deviations["each"]


def test_key_value_and_saturation():
    image = np.random.default_rng(0).uniform(0.3, 0.5, size=(2, 7, 9, 3)).astype(np.float32)
    image[1] *= 0.8
    result = np.asarray(enhancer(key_value=0.2)(image))
    before, after = (color.luminance(color.srgb_to_linear(x)) for x in (image, result))
    light = after / before * (before + 2.0**-8)
    np.testing.assert_allclose(np.log2(light).mean((1, 2)), np.log2(0.2), atol=1e-4)
    grey = np.asarray(enhancer(saturation=0.0)(image))
    np.testing.assert_allclose(grey, grey.mean(-1, keepdims=True) * np.ones(3), atol=1e-5)


def test_shoulder_keeps_highlights_distinct():
    image = np.linspace(0.5, 1.0, 8, dtype=np.float32)[None, :, None] * np.ones(
        (8, 1, 3), np.float32
    )
    clipped = np.asarray(enhancer(key_value=1.2)(image))
    bent = np.asarray(enhancer(key_value=1.2, shoulder=4.0)(image))
    assert clipped[0, -3:].min() > 0.9999 and bent.max() < 0.999
    assert (np.diff(bent[0, :, 0]) > 0).all()


def test_errors_name_the_argument():
    fast, plane = local_laplacian.fast, jnp.zeros((4, 4))
    with pytest.raises(TypeError, match="int32"):
        fast(jnp.zeros((4, 4), jnp.int32), sigma=1.0)
    with pytest.raises(ValueError, match=r"\(4,\)"):
        fast(jnp.zeros(4), sigma=1.0)
    with pytest.raises(ValueError, match=r"\(0, 4\)"):
        local_laplacian.exact(jnp.zeros((0, 4)), sigma=1.0)
    with pytest.raises(ValueError, match="samples"):
        fast(plane, sigma=1.0, samples=1)
    with pytest.raises(ValueError, match="levels"):
        fast(plane, sigma=1.0, levels=0)
    with pytest.raises(ValueError, match="sigma"):
        fast(plane, sigma=0.0)
    with pytest.raises(ValueError, match="colors"):
        local_laplacian.enhance(jnp.zeros((4, 4, 3)), colors="luma")
    with pytest.raises(ValueError, match="3 colour"):
        local_laplacian.enhance(jnp.zeros((4, 4, 1)))
    with pytest.raises(TypeError, match="uint8"):
        local_laplacian.enhance(np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize(
    "options",
    [{"alpha": 0.5}, {"alpha": 0.7, "beta": 0.3}, {"alpha": 1.5}, {"beta": 0.5}],
    ids=["enhance", "both", "smooth", "compress"],
)
def test_default_samples_follow_the_curve(options):
    """Of what the filter does to a photo, the fast form may miss a few per cent."""
    photo = skimage.data.coffee().astype(np.float32) / 255
    small = resize.resize(photo, (24, 32), method="area")
    plane = jnp.log2(color.luminance(color.srgb_to_linear(small)) + 2.0**-8)
    exact = jax.jit(functools.partial(local_laplacian.exact, sigma=1.0, noise=0.1, **options))
    difference = exact(plane) - local_laplacian.fast(plane, sigma=1.0, noise=0.1, **options)
    effect = jnp.abs(exact(plane) - plane).mean()
    assert jnp.abs(difference).mean() < 0.08 * effect


def test_number_of_samples():
    count = functools.partial(local_laplacian.samples_for, 8.0, sigma=1.0)
    assert count(noise=0.1) == 17  # without a power: half of sigma apart
    assert count(alpha=0.5, noise=0.1) == 81 and count(alpha=1.5, noise=1e-6) == 81
    assert count(alpha=0.5, noise=1e-6) == 161  # noise below sigma / 20 is not followed
    assert local_laplacian.samples_for(0.0, sigma=1.0) == 2
    with pytest.raises(ValueError, match="samples must be given, since noise is traced"):
        jax.jit(lambda noise: count(noise=noise))(0.1)
    plane = jnp.zeros((8, 8))
    with pytest.raises(ValueError, match="samples or span must be given, since plane is traced"):
        jax.jit(lambda plane: local_laplacian.fast(plane, sigma=1.0))(plane)
    traced = jax.jit(lambda alpha: local_laplacian.enhance(jnp.ones((8, 8, 3)), alpha=alpha))
    assert traced(0.5).shape == (8, 8, 3)

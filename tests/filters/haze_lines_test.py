"""Haze lines and weighted least squares: dense solutions, known haze, gradients, errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import test_util

from bilateral_jax.filters import haze, haze_lines, wls

pytestmark = pytest.mark.usefixtures("compiled_quickly")

AIR = np.float32([0.85, 0.87, 0.9])
PALETTE = np.float32(
    [[0.7, 0.1, 0.1], [0.1, 0.5, 0.15], [0.1, 0.15, 0.6], [0.6, 0.5, 0.05], [0.3, 0.05, 0.4]]
)


def scene(height=40, width=48):
    """Few colours, each at every distance; the transmission falls towards the top."""
    tiles = np.random.default_rng(0).integers(0, len(PALETTE), (height // 2, width // 2))
    clear = np.kron(PALETTE[tiles], np.ones((2, 2, 1))).astype(np.float32)
    rows = np.arange(height, dtype=np.float32)[:, None] / (height - 1)
    transmission = np.broadcast_to(0.2 + 0.8 * rows, (height, width))
    return clear, np.ascontiguousarray(transmission)


def hazy():
    clear, transmission = scene()
    return np.asarray(haze.add(clear, transmission=transmission, air_light=AIR))


@functools.cache
def estimate(**options):
    return jax.jit(functools.partial(haze_lines.estimate, **options))


def dense(plane, guide, reliability, smoothness, alpha, epsilon):
    """The normal equations, written out in float64."""
    height, width = plane.shape
    matrix, right = np.diag(reliability.ravel()).astype(np.float64), (reliability * plane).ravel()
    for (i, j), (di, dj) in ((p, d) for p in np.ndindex(plane.shape) for d in ((1, 0), (0, 1))):
        if i + di < height and j + dj < width:
            length = np.sqrt(np.sum((guide[i, j] - guide[i + di, j + dj]) ** 2))
            weight = smoothness / (length**alpha + epsilon)
            here, there = i * width + j, (i + di) * width + j + dj
            matrix[[here, there], [here, there]] += weight
            matrix[[here, there], [there, here]] -= weight
    return np.linalg.solve(matrix, right).reshape(plane.shape)


@pytest.mark.parametrize("alpha", [1.2, 2.0])
def test_least_squares_agree_with_the_dense_solution(alpha):
    rng = np.random.default_rng(0)
    plane, guide, reliability = (
        rng.random((2, 5, 6)),
        rng.random((5, 6, 3)),
        rng.random((5, 6)) + 0.1,
    )
    options = {"smoothness": 0.3, "alpha": alpha, "epsilon": 1e-3}
    found = jax.jit(functools.partial(wls.smooth, tolerance=1e-7, **options))(
        jnp.float32(plane), jnp.float32(guide)[None], reliability=jnp.float32(reliability)[None]
    )
    for index in range(2):
        expected = dense(plane[index], guide, reliability, **options)
        assert np.abs(expected - plane[index]).max() > 0.1
        np.testing.assert_allclose(found[index], expected, atol=5e-5)


def test_least_squares_gradients_agree_with_differences():
    rng = np.random.default_rng(1)
    plane, guide, reliability = (
        jnp.float32(x)
        for x in (rng.random((4, 5)), rng.random((4, 5, 1)), rng.random((4, 5)) + 0.2)
    )

    @jax.jit
    def total(plane, guide, reliability, smoothness):
        options = {"smoothness": smoothness, "epsilon": 0.1, "tolerance": 1e-7}
        return jnp.sum(jnp.sin(3 * wls.smooth(plane, guide, reliability=reliability, **options)))

    at = (plane, guide, reliability, jnp.float32(0.2))
    test_util.check_grads(total, at, order=1, modes=["rev"], atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("name", ["plane", "guide", "reliability"])
def test_wls_of_an_image_with_nan_is_nan(name):
    """Not the plane as it came, and the other image of the batch is what it is alone."""
    rng = np.random.default_rng(3)
    shapes = {"plane": (2, 5, 6), "guide": (2, 5, 6, 3), "reliability": (2, 5, 6)}
    arrays = {key: rng.uniform(0.1, 1, shape).astype(np.float32) for key, shape in shapes.items()}
    alone = wls.smooth(**{key: array[1] for key, array in arrays.items()}, smoothness=0.5)
    arrays[name][0, 2, 3] = np.nan
    found = wls.smooth(**arrays, smoothness=0.5)
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], alone, rtol=1e-5)


def test_fibonacci_sphere_is_even():
    spiral = haze_lines.fibonacci_sphere(500)
    np.testing.assert_allclose(np.linalg.norm(spiral, axis=1), 1.0, atol=1e-6)
    closest = np.sort(spiral @ spiral.T, axis=1)[:, -2]
    angles = np.degrees(np.arccos(closest))
    # A hexagonal cover of the sphere by 500 points would have 9.8 degrees between neighbours.
    assert angles.min() > 7.0 and angles.max() < 10.0


def loop(image, lines, floor):
    """Pixel by pixel in float64: its line, the farthest of the line, the bound."""
    offset = image.astype(np.float64) - AIR
    radius = np.linalg.norm(offset, axis=-1)
    spiral, line = haze_lines.fibonacci_sphere(lines), np.empty(radius.shape, int)
    for pixel in np.ndindex(radius.shape):
        line[pixel] = np.argmax(spiral @ (offset[pixel] / radius[pixel]))
    transmission = np.empty(radius.shape)
    for pixel in np.ndindex(radius.shape):
        value = np.clip(radius[pixel] / radius[line == line[pixel]].max(), floor, 1)
        transmission[pixel] = max(value, 1 - (image[pixel] / AIR).min())
    return transmission


def test_lines_agree_with_the_loop():
    image = hazy()
    _, found = estimate(lines=200, smoothness=0)(image, air_light=AIR)
    expected = loop(image, 200, 0.1)
    # The first row has a rule of its own; rounding to float32 decides about pixels between two
    # directions.
    differs = np.abs(np.asarray(found) - expected)[1:] > 1e-4
    assert differs.mean() < 0.01, differs.mean()


def test_known_haze_is_recovered():
    """The mean error of the transmission is below 0.02, that of the photo a fifth of the haze's."""
    clear, transmission = scene()
    air, found = estimate(lines=500)(hazy(), air_light=AIR)
    np.testing.assert_array_equal(air, AIR)
    error = np.abs(np.asarray(found) - transmission)
    assert error.mean() < 0.02, error.mean()
    out = np.asarray(haze.remove(hazy(), transmission=found, air_light=AIR))
    before, after = (np.abs(x - clear).mean() for x in (hazy(), out))
    assert after < 0.2 * before, (before, after)


def test_batches_are_independent_and_gradients_finite():
    run = jax.jit(functools.partial(haze_lines.dehaze, lines=50, iterations=20))
    image = hazy()[::2, ::3]
    pair = np.stack([image, 0.7 * image[::-1]])
    together = run(pair)
    np.testing.assert_allclose(together[1], run(pair[1]), atol=2e-3)
    assert float(together.min()) == 0.0 and float(together.max()) == 1.0
    slope = jax.jit(jax.grad(lambda x: jnp.sum(jnp.square(run(x)))))(pair[0])
    assert bool(jnp.all(jnp.isfinite(slope))) and float(jnp.abs(slope).max()) > 0


def test_errors_name_the_argument():
    image = jnp.zeros((4, 5, 3))
    with pytest.raises(ValueError, match="lines must be an int of at least 1, got 0"):
        haze_lines.dehaze(image, lines=0)
    with pytest.raises(ValueError, match="stretch must be at least 0 and below 0.5, got 0.5"):
        haze_lines.dehaze(image, stretch=0.5)
    with pytest.raises(ValueError, match="iterations must be an int of at least 1, got 0"):
        wls.smooth(image[..., 0], image, smoothness=1.0, iterations=0)
    with pytest.raises(ValueError, match="reliability must have the guide's height and width"):
        wls.smooth(image[..., 0], image, smoothness=1.0, reliability=jnp.zeros((5, 4)))
    with pytest.raises(TypeError, match="guide must be floating point"):
        wls.smooth(image[..., 0], np.zeros((4, 5, 3), np.uint8), smoothness=1.0)

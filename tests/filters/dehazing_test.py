"""Dark channel dehazing: recovery of known haze, loops, gradients, errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import test_util

from bilateral_jax.filters import dark_channel, haze

pytestmark = pytest.mark.usefixtures("compiled_quickly")

AIR = np.float32([0.82, 0.86, 0.92])


def scene(height=60, width=72):
    """Small coloured tiles, many with a dark channel, under haze that grows upwards to a sky."""
    rng = np.random.default_rng(0)
    tiles = rng.uniform(0, 1, (height // 2, width // 2, 3)) * rng.choice(
        [0, 0.9], (height // 2, width // 2, 3)
    )
    clear = np.kron(tiles, np.ones((2, 2, 1)))
    rows, columns = np.mgrid[0:height, 0:width]
    transmission = np.clip(0.15 + 0.85 * rows / height - 0.1 * columns / width, 0.1, 1.0)
    transmission[:10] = 0.0
    return clear.astype(np.float32), transmission.astype(np.float32)


def hazy():
    clear, transmission = scene()
    return haze.add(clear, transmission=jnp.asarray(transmission), air_light=jnp.asarray(AIR))


@functools.cache
def dehaze(**options):
    return jax.jit(functools.partial(dark_channel.dehaze, **options))


def test_remove_undoes_add():
    clear, transmission = scene()
    transmission = np.maximum(transmission, 0.2)
    again = haze.remove(
        haze.add(clear, transmission=transmission, air_light=AIR),
        transmission=transmission,
        air_light=AIR,
    )
    np.testing.assert_allclose(again, clear, atol=1e-6)
    kept = haze.remove(clear, transmission=transmission, air_light=AIR, kept=0.06)
    plain = haze.remove(clear, transmission=transmission, air_light=AIR)
    np.testing.assert_allclose(kept - plain, np.broadcast_to(0.06 * AIR, clear.shape), atol=1e-5)
    floored = haze.remove(clear, transmission=np.zeros_like(transmission), air_light=AIR, floor=0.5)
    np.testing.assert_allclose(floored, AIR + (clear - AIR) / 0.5, atol=1e-6)


def test_dark_channel_agrees_with_the_loop():
    image = np.random.default_rng(0).random((7, 9, 3)).astype(np.float32)
    expected = np.empty((7, 9))
    for row, column in np.ndindex(7, 9):
        expected[row, column] = image[
            max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2
        ].min()
    np.testing.assert_array_equal(
        dark_channel.dark_channel(image, patch=3), expected.astype(np.float32)
    )


def test_air_light_is_the_brightest_pixel_where_the_dark_channel_is_brightest():
    image = np.full((20, 20, 3), 0.2, np.float32)
    image[:6] = AIR  # the sky
    image[0, 3] = AIR + 0.05
    image[15, 15] = 1.0  # a lamp: brighter, but its surroundings are dark
    options = {"patch": 5, "share": 0.05}
    np.testing.assert_allclose(
        dark_channel.estimate_air_light(image, **options), AIR + 0.05, atol=1e-6
    )
    mean = dark_channel.estimate_air_light(image, pick="mean", **options)
    assert np.all(mean >= AIR - 1e-6) and np.all(mean < AIR + 0.02)


def test_known_haze_is_recovered():
    """The mean error of the transmission is below 0.06."""
    clear, transmission = scene()
    options = {"patch": 5, "omega": 1.0, "radius": 8}
    air, found = jax.jit(lambda x: dark_channel.estimate(x, **options))(hazy())
    np.testing.assert_allclose(air, AIR, atol=2e-3)
    error = np.abs(np.asarray(found) - transmission)
    assert error.mean() < 0.06, error.mean()
    out = np.asarray(dehaze(**options)(hazy()))
    below = transmission > 0.3
    before, after = (np.abs(x - clear)[below].mean() for x in (np.asarray(hazy()), out))
    assert after < 0.5 * before, (before, after)


def test_omega_zero_is_the_identity_and_a_known_air_light_is_used():
    image = np.asarray(hazy())
    run = dehaze(patch=5, radius=8)
    np.testing.assert_allclose(run(image, omega=0.0), image, atol=1e-5)
    estimated, known, other = (
        run(image),
        run(image, air_light=AIR),
        run(image, air_light=np.ones_like(AIR)),
    )
    np.testing.assert_allclose(estimated, known, atol=2e-3)
    assert np.abs(other - known).max() > 0.02


def test_batches_are_independent_and_dtype_is_kept():
    pair = np.stack([np.asarray(hazy()), 0.5 * np.asarray(hazy())[::-1]])
    run = dehaze(patch=5, radius=8)
    together, alone = run(pair), run(pair[1])
    np.testing.assert_allclose(together[1], alone, atol=1e-4)
    half = run(jnp.asarray(pair[1], jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), alone, atol=0.1)


def test_gradients_agree_with_differences():
    """Where nothing is clipped and no minimum changes its position."""
    image = jnp.float32(np.random.default_rng(0).uniform(0.4, 0.8, (6, 7, 3)))
    options = {"patch": 1, "radius": 2, "epsilon": 0.05, "air_light": jnp.full(3, 1.2)}

    @jax.jit
    def total(image, omega):
        return jnp.sum(jnp.sin(3 * dark_channel.dehaze(image, omega=omega, **options)))

    at = (image, jnp.float32(0.3))
    test_util.check_grads(total, at, order=1, modes=["rev"], eps=1e-3, atol=2e-2, rtol=2e-2)


def test_errors_name_the_argument():
    image = jnp.zeros((4, 5, 3))
    with pytest.raises(ValueError, match="patch must be an odd int of at least 1, got 4"):
        dark_channel.dehaze(image, patch=4)
    with pytest.raises(ValueError, match="share must be above 0 and at most 1, got 0"):
        dark_channel.estimate_air_light(image, share=0)
    with pytest.raises(ValueError, match="pick must be one of .*, got 'median'"):
        dark_channel.estimate_air_light(image, pick="median")
    with pytest.raises(ValueError, match=r"air_light must be \[\*b, 3\], got shape \(4,\)"):
        dark_channel.dehaze(image, air_light=jnp.zeros(4))
    with pytest.raises(ValueError, match="transmission must have the guide's height"):
        haze.add(image, transmission=jnp.zeros((5, 4)), air_light=jnp.zeros(3))
    with pytest.raises(TypeError, match="image must be floating point"):
        haze.remove(
            np.zeros((4, 5, 3), np.uint8), transmission=jnp.zeros((4, 5)), air_light=jnp.zeros(3)
        )

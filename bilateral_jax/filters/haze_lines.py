"""Dehazing by haze lines: a photo has few colours, and haze pulls each towards the air light.

Seen from the air light, the pixels of one colour lie on a line; the farthest of them is the least
hazy, and how near another has come tells its transmission. Unlike the dark channel this looks at no
neighbourhood, until the transmission is smoothed.

What differs from the published code: the directions are a Fibonacci spiral, not a file of samples;
the smoothing's equations are the same, but solved by conjugate gradients to a tolerance; the air
light is that of `dark_channel.py` where none is given; the final stretch takes the limits over all
channels together.

Receives photos from `filters/operators.py` and users.
Hands clear photos, transmissions and air lights back.

Reference: Berman, Treibitz, Avidan 2016, "Non-local image dehazing", section 3.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax.filters import dark_channel, haze, windows, wls


def dehaze(
    image,
    *,
    air_light=None,
    lines: int = 1000,
    floor: float = 0.1,
    kept: float = 0.06,
    smoothness: float = 0.1,
    stretch: float = 0.005,
    iterations: int = 500,
):
    """Removes haze from a photo.

    Args:
      image: float `[*b, h, w, 3]` in [0, 1], display-referred.
      air_light: float `[*b, 3]` where it is known; None takes `dark_channel.find_air_light`.
      lines: directions into which the colours are sorted.
      floor: least transmission.
      kept: share of the air light that is given back.
      smoothness: of the transmission, see `wls.smooth`.
      stretch: share of the values at either end that becomes black and white; 0 leaves the range.
      iterations: of the smoothing, see `wls.smooth`.

    Returns:
      `[*b, h, w, 3]`, same dtype, clipped to [0, 1].

    Raises:
      TypeError: an argument is not floating point.
      ValueError: a shape that does not fit, or an option out of range.
    """
    given = haze.photo(image)
    if not 0 <= stretch < 0.5:
        raise ValueError(f"stretch must be at least 0 and below 0.5, got {stretch!r}")
    image = given.astype(jnp.float32)
    air, shares = estimate(
        image,
        air_light=air_light,
        lines=lines,
        floor=floor,
        smoothness=smoothness,
        iterations=iterations,
    )
    clear = haze.remove(image, transmission=shares, air_light=air, floor=floor, kept=kept)
    clear = jnp.clip(clear, 0.0, 1.0)
    if stretch:
        ends = jnp.asarray([stretch, 1 - stretch], jnp.float32)
        low, high = jnp.quantile(clear, ends, axis=(-3, -2, -1), keepdims=True)
        clear = jnp.clip((clear - low) / jnp.maximum(high - low, 1e-3), 0.0, 1.0)
    return clear.astype(given.dtype)


def estimate(
    image,
    *,
    air_light=None,
    lines: int = 1000,
    floor: float = 0.1,
    smoothness: float = 0.1,
    iterations: int = 500,
):
    """Estimates air light and smoothed transmission, as `dehaze` uses them.

    Args:
      image: float `[*b, h, w, 3]` in [0, 1].
      air_light: see `dehaze`.
      lines: see `dehaze`.
      floor: see `dehaze`.
      smoothness: see `dehaze`; 0 leaves the transmission as it was found pixel by pixel.
      iterations: see `dehaze`.

    Returns:
      (air light `[*b, 3]`, transmission `[*b, h, w]`).

    Raises:
      TypeError: an argument is not floating point.
      ValueError: a shape that does not fit, or an option out of range.
    """
    image = haze.photo(image)
    windows.whole("lines", lines, least=1)
    if air_light is None:
        air = dark_channel.find_air_light(image)
    else:
        air = haze.color("air_light", air_light)
    size, batch = image.shape[-3:], image.shape[:-3]
    flat = image.reshape(-1, *size)
    airs = jnp.broadcast_to(air, (*batch, 3)).reshape(-1, 3)

    def one(photo, air):
        return _lines(photo, air, lines, floor)

    rough, trust = jax.vmap(one)(flat, airs)
    if not (isinstance(smoothness, int | float) and smoothness == 0):
        options = {"smoothness": smoothness, "iterations": iterations}
        rough = wls.smooth(rough, flat, reliability=trust, **options)
    shares = jnp.clip(rough, floor, 1.0).reshape(*batch, *size[:2])
    return jnp.broadcast_to(air, (*batch, 3)), shares


def directions(count: int) -> np.ndarray:
    """Spreads points evenly over the sphere, along a spiral.

    Args:
      count: of them.

    Returns:
      float32 `[count, 3]`, unit vectors.
    """
    places = np.arange(count) + 0.5
    z = 1 - 2 * places / count
    angle = np.pi * (1 + np.sqrt(5)) * places
    ring = np.sqrt(1 - z * z)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), z], -1).astype(np.float32)


def _lines(image, air, count, floor):
    """The transmission of every pixel by its line, and how much to trust it."""
    air = air[None, None]
    offset = image - air
    radius = jnp.sqrt(jnp.sum(jnp.square(offset), -1) + 1e-12)
    line = _nearest(jax.lax.stop_gradient(offset / radius[..., None]), directions(count))
    flat, places = radius.reshape(-1), line.reshape(-1)
    farthest = jax.ops.segment_max(flat, places, count)
    # Colours beyond black do not exist: a bound from below.
    bound = 1.0 - jnp.min(image / jnp.maximum(air, 1e-3), -1)
    shares = jnp.clip(radius / jnp.maximum(farthest[line], 1e-6), floor, 1.0)
    shares = jnp.maximum(shares, bound)
    trust = jax.lax.stop_gradient(_trust(flat, places, count)[line])
    # (The published code takes the least away first: where all lines are alike, nothing is left.)
    trust = trust / jnp.maximum(trust.max(), 1e-5)
    # The top row, where it is not to be trusted, is as far away as anything below it.
    doubtful = trust[0] < 0.6
    first = jnp.where(doubtful, shares.min(0), shares[0])
    return shares.at[0].set(first), trust.at[0].set(jnp.where(doubtful, 0.8, trust[0]))


def _nearest(unit, spiral):
    """The index of the direction nearest to every pixel, row by row to bound the memory."""

    def row(pixels):
        return jnp.argmax(jnp.matmul(pixels, spiral.T, precision=jax.lax.Precision.HIGHEST), -1)

    return jax.lax.map(row, unit)


def _trust(radius, places, count):
    """Lines with many pixels, spread over many distances, tell more."""
    number = jax.ops.segment_sum(jnp.ones_like(radius), places, count)
    mean = jax.ops.segment_sum(radius, places, count) / jnp.maximum(number, 1.0)
    square = jax.ops.segment_sum(jnp.square(radius - mean[places]), places, count)
    spread = jnp.sqrt(square / jnp.maximum(number - 1.0, 1.0))
    spread = spread / jnp.maximum(spread.max(), 1e-6)
    told = jnp.clip(3.0 * jnp.maximum(spread - 0.1, 1e-3), 0.0, 1.0)
    return told * jnp.minimum(number / 50.0, 1.0)

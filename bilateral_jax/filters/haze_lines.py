"""Non-local dehazing by haze lines.

A photo has few distinct colours, and haze moves each along a line towards the air light. The pixel
of a line that is farthest from the air light is the least hazy; the relative distance of the others
is their transmission. No neighbourhood is used until the transmission is smoothed.

Differences from the published code: the directions are a Fibonacci spiral, not a file of samples;
the equations of the smoothing are the same, but solved by conjugate gradients to a tolerance; the
air light is that of `dark_channel.py` where none is given; the final contrast stretch takes its
limits over all channels together.

Reference: Berman, Treibitz, Avidan 2016, "Non-local image dehazing", section 3.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax.filters import arguments, dark_channel, haze, wls


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
) -> jax.Array:
    """Non-local dehazing by haze lines, with a contrast stretch.

    Args:
      image: float `[*b, h, w, 3]` in [0, 1], display-referred.
      air_light: float `[*b, 3]` where it is known; None takes `dark_channel.estimate_air_light`.
      lines: number of directions that the colours are clustered into.
      floor: lower bound of the transmission.
      kept: fraction of the air light that is added everywhere.
      smoothness: of the transmission, see `wls.smooth`.
      stretch: fraction of the values that becomes black, and white; 0 does not stretch.
      iterations: of the smoothing, see `wls.smooth`.

    Returns:
      `[*b, h, w, 3]`, same dtype, clipped to [0, 1].

    Raises:
      TypeError: an argument is not floating point.
      ValueError: a shape that does not fit, or an option out of range.
    """
    original = arguments.rgb_image(image)
    if not 0 <= stretch < 0.5:
        raise ValueError(f"stretch must be at least 0 and below 0.5, got {stretch!r}")
    image = original.astype(jnp.float32)
    air, transmission = estimate(
        image,
        air_light=air_light,
        lines=lines,
        floor=floor,
        smoothness=smoothness,
        iterations=iterations,
    )
    clear = haze.remove(image, transmission=transmission, air_light=air, floor=floor, kept=kept)
    clear = jnp.clip(clear, 0.0, 1.0)
    if stretch:
        ends = jnp.asarray([stretch, 1 - stretch], jnp.float32)
        low, high = jnp.quantile(clear, ends, axis=(-3, -2, -1), keepdims=True)
        clear = jnp.clip((clear - low) / jnp.maximum(high - low, 1e-3), 0.0, 1.0)
    return clear.astype(original.dtype)


def estimate(
    image,
    *,
    air_light=None,
    lines: int = 1000,
    floor: float = 0.1,
    smoothness: float = 0.1,
    iterations: int = 500,
) -> tuple[jax.Array, jax.Array]:
    """Air light and smoothed transmission, as `dehaze` uses them.

    Args:
      image: float `[*b, h, w, 3]` in [0, 1].
      air_light: see `dehaze`.
      lines: see `dehaze`.
      floor: see `dehaze`.
      smoothness: see `dehaze`; 0 does not smooth the transmission.
      iterations: see `dehaze`.

    Returns:
      (air light `[*b, 3]`, transmission `[*b, h, w]`).

    Raises:
      TypeError: an argument is not floating point.
      ValueError: a shape that does not fit, or an option out of range.
    """
    image = arguments.rgb_image(image)
    arguments.integer("lines", lines, least=1)
    if air_light is None:
        air = dark_channel.estimate_air_light(image)
    else:
        air = arguments.rgb_color("air_light", air_light)
    dtype, size, batch = image.dtype, image.shape[-3:], image.shape[:-3]
    image = image.astype(jnp.promote_types(dtype, jnp.float32))
    flat = image.reshape(-1, *size)
    airs = jnp.broadcast_to(air, (*batch, 3)).reshape(-1, 3)

    def one(image, air):
        return _transmission(image, air, lines, floor)

    transmission, reliability = jax.vmap(one)(flat, airs)
    if not (isinstance(smoothness, int | float) and smoothness == 0):
        options = {"smoothness": smoothness, "iterations": iterations}
        transmission = wls.smooth(transmission, flat, reliability=reliability, **options)
    transmission = jnp.clip(transmission, floor, 1.0).reshape(*batch, *size[:2])
    return jnp.broadcast_to(air, (*batch, 3)), transmission.astype(dtype)


def fibonacci_sphere(count: int) -> np.ndarray:
    """Points evenly distributed over the unit sphere, along a Fibonacci spiral.

    Args:
      count: number of points.

    Returns:
      float32 `[count, 3]`, unit vectors.
    """
    index = np.arange(count) + 0.5
    z = 1 - 2 * index / count
    angle = np.pi * (1 + np.sqrt(5)) * index
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], -1).astype(np.float32)


def _transmission(image, air, count, floor):
    """The transmission of every pixel by its haze line, and its reliability, `[h, w]` each."""
    air = air[None, None]
    offset = image - air
    radius = jnp.sqrt(jnp.sum(jnp.square(offset), -1) + 1e-12)
    line = _nearest(jax.lax.stop_gradient(offset / radius[..., None]), fibonacci_sphere(count))
    flat, lines = radius.reshape(-1), line.reshape(-1)
    farthest = jax.ops.segment_max(flat, lines, count)
    # The haze-free colour cannot be below black: a lower bound.
    bound = 1.0 - jnp.min(image / jnp.maximum(air, 1e-3), -1)
    transmission = jnp.clip(radius / jnp.maximum(farthest[line], 1e-6), floor, 1.0)
    transmission = jnp.maximum(transmission, bound)
    reliability = jax.lax.stop_gradient(_reliability(flat, lines, count)[line])
    # (The published code subtracts the minimum first: 0 everywhere if all lines are alike.)
    reliability = reliability / jnp.maximum(reliability.max(), 1e-5)
    # Where the top row is unreliable, it gets the minimum of its column.
    unreliable = reliability[0] < 0.6
    top = jnp.where(unreliable, transmission.min(0), transmission[0])
    top_reliability = jnp.where(unreliable, 0.8, reliability[0])
    return transmission.at[0].set(top), reliability.at[0].set(top_reliability)


def _nearest(unit, spiral):
    """The index of the nearest direction of every pixel, row by row to bound the memory."""

    def row(pixels):
        return jnp.argmax(jnp.matmul(pixels, spiral.T, precision=jax.lax.Precision.HIGHEST), -1)

    return jax.lax.map(row, unit)


def _reliability(radius, lines, count):
    """Of every line: high for many pixels with a large spread of distances."""
    number = jax.ops.segment_sum(jnp.ones_like(radius), lines, count)
    mean = jax.ops.segment_sum(radius, lines, count) / jnp.maximum(number, 1.0)
    square = jax.ops.segment_sum(jnp.square(radius - mean[lines]), lines, count)
    spread = jnp.sqrt(square / jnp.maximum(number - 1.0, 1.0))
    spread = spread / jnp.maximum(spread.max(), 1e-6)
    spread = jnp.clip(3.0 * jnp.maximum(spread - 0.1, 1e-3), 0.0, 1.0)
    return spread * jnp.minimum(number / 50.0, 1.0)

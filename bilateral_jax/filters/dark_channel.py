"""Dehazing by the dark channel prior.

In a haze-free photo almost every patch holds a pixel with a channel near 0. In a hazy
photo the minimum over the patch is therefore air light alone, which gives the transmission.

Reference: He, Sun, Tang 2011, "Single image haze removal using dark channel prior", section 4; the
soft matting of its section 4.2 is replaced by the guided filter, as the same authors do in He, Sun,
Tang 2013, section 4.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from bilateral_jax.filters import arguments, guided, haze, windows

PICKS = ("brightest", "mean")


def dark_channel(image, *, patch: int = 15) -> jax.Array:
    """Dark channel: the minimum over the channels and over the patch around each pixel.

    Args:
      image: float `[*b, h, w, 3]`.
      patch: side of the patch in pixels, odd; cropped at the border of the image.

    Returns:
      `[*b, h, w]`, same dtype.

    Raises:
      TypeError: `image` is not floating point.
      ValueError: it is not `[*b, h, w, 3]`, or the patch is not an odd int.

    Reference: He, Sun, Tang 2011, equation 5.
    """
    image, radius = arguments.rgb_image(image), _radius(patch)
    return windows.minimum(image.min(-1), radius)


def estimate_air_light(
    image, *, patch: int = 15, share: float = 0.001, pick: str = "brightest"
) -> jax.Array:
    """Air light: the colour of a bright pixel where the dark channel is brightest.

    Args:
      image: float `[*b, h, w, 3]` in [0, 1].
      patch: as for `dark_channel`.
      share: fraction of the pixels, those with the brightest dark channel, to choose from.
      pick: "brightest" takes the pixel of the highest mean of its channels, as published, so a
        single noisy or overexposed pixel decides; "mean" averages the candidates.

    Returns:
      `[*b, 3]`, same dtype. Only the chosen pixels get a gradient.

    Raises:
      TypeError: `image` is not floating point.
      ValueError: it is not `[*b, h, w, 3]`, or an option is out of range.

    Reference: He, Sun, Tang 2011, section 4.3.
    """
    image = arguments.rgb_image(image)
    if pick not in PICKS:
        raise ValueError(f"pick must be one of {PICKS}, got {pick!r}")
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, got {share!r}")
    dark = dark_channel(image, patch=patch)
    pixels = image.reshape(*image.shape[:-3], -1, 3)
    count = math.ceil(share * pixels.shape[-2])
    _, indices = jax.lax.top_k(dark.reshape(*dark.shape[:-2], -1), count)
    candidates = jnp.take_along_axis(pixels, indices[..., None], axis=-2)
    if pick == "mean":
        return candidates.mean(-2)
    best = candidates.mean(-1).argmax(-1)[..., None, None]
    return jnp.take_along_axis(candidates, best, axis=-2)[..., 0, :]


def rough_transmission(image, *, air_light, patch: int = 15, omega: float = 0.95) -> jax.Array:
    """Unrefined transmission: `1 - omega dark_channel(image / air_light)`.

    Args:
      image: float `[*b, h, w, 3]` in [0, 1].
      air_light: float `[*b, 3]`.
      patch: as for `dark_channel`.
      omega: fraction of the haze to remove; below 1 some of it is left, which preserves depth.

    Returns:
      `[*b, h, w]`, constant over patches; `dehaze` refines it.

    Raises:
      TypeError: an argument is not floating point.
      ValueError: a shape that does not fit, or a patch that is not an odd int.

    Reference: He, Sun, Tang 2011, equation 12.
    """
    image, air = arguments.rgb_image(image), arguments.rgb_color("air_light", air_light)
    ratio = image / jnp.maximum(air, 1e-3)[..., None, None, :]
    return 1.0 - omega * dark_channel(ratio, patch=patch)


def dehaze(
    image,
    *,
    air_light=None,
    patch: int = 15,
    omega: float = 0.95,
    floor: float = 0.1,
    share: float = 0.001,
    pick: str = "brightest",
    radius: int = 60,
    epsilon: float = 1e-4,
) -> jax.Array:
    """Dehazing by the dark channel prior, with the transmission refined by a guided filter.

    Args:
      image: float `[*b, h, w, 3]` in [0, 1], display-referred.
      air_light: float `[*b, 3]` where it is known; None estimates it.
      patch: side of the patch of the dark channel, odd.
      omega: fraction of the haze to remove; 0 removes none.
      floor: lower bound of the transmission that is divided by.
      share: see `estimate_air_light`.
      pick: see `estimate_air_light`.
      radius: of the guided filter that aligns the transmission to the photo's edges; the defaults
        of patch and radius are for photos of about half a megapixel.
      epsilon: of the guided filter.

    Returns:
      `[*b, h, w, 3]`, same dtype, clipped to [0, 1].

    Raises:
      TypeError: an argument is not floating point.
      ValueError: a shape that does not fit, or an option out of range.
    """
    original = arguments.rgb_image(image)
    image = original.astype(jnp.float32)
    air, transmission = estimate(
        image,
        air_light=air_light,
        patch=patch,
        omega=omega,
        share=share,
        pick=pick,
        radius=radius,
        epsilon=epsilon,
    )
    clear = haze.remove(image, transmission=transmission, air_light=air, floor=floor)
    return jnp.clip(clear, 0.0, 1.0).astype(original.dtype)


def estimate(
    image,
    *,
    air_light=None,
    patch: int = 15,
    omega: float = 0.95,
    share: float = 0.001,
    pick: str = "brightest",
    radius: int = 60,
    epsilon: float = 1e-4,
) -> tuple[jax.Array, jax.Array]:
    """Air light and refined transmission, as `dehaze` uses them.

    Args:
      image: float `[*b, h, w, 3]` in [0, 1].
      air_light: float `[*b, 3]` where it is known; None estimates it.
      patch: see `dehaze`.
      omega: see `dehaze`.
      share: see `estimate_air_light`.
      pick: see `estimate_air_light`.
      radius: see `dehaze`.
      epsilon: see `dehaze`.

    Returns:
      (air light `[*b, 3]`, transmission `[*b, h, w]`).

    Raises:
      TypeError: an argument is not floating point.
      ValueError: a shape that does not fit, or an option out of range.
    """
    image = arguments.rgb_image(image)
    if air_light is None:
        air = estimate_air_light(image, patch=patch, share=share, pick=pick)
    else:
        air = arguments.rgb_color("air_light", air_light)
    rough = rough_transmission(image, air_light=air, patch=patch, omega=omega)
    return air, guided.smooth(rough, image, radius=radius, epsilon=epsilon)


def _radius(patch):
    if isinstance(patch, bool) or not isinstance(patch, int) or patch < 1 or patch % 2 == 0:
        raise ValueError(f"patch must be an odd int of at least 1, got {patch!r}")
    return patch // 2

"""Dehazing by the dark channel: near every pixel of a clear photo some channel is almost zero.

So what the darkest channel of a hazy photo shows there is air light, and how much of it tells the
transmission.

Receives photos from `filters/operators.py` and users.
Hands clear photos, transmissions and air lights back; the air light to `filters/haze_lines.py`.

Reference: He, Sun, Tang 2011, "Single image haze removal using dark channel prior", section 4; the
soft matting of its section 4.2 is replaced by the guided filter, as the same authors do in He, Sun,
Tang 2013, section 4.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from bilateral_jax.filters import guided, haze, windows

PICKS = ("brightest", "mean")


def dark_channel(image, *, patch: int = 15):
    """Takes the least value of all channels and all pixels of the patch around a pixel.

    Args:
      image: float `[*b, h, w, 3]`.
      patch: side of the patch in pixels, odd; at the border it ends with the picture.

    Returns:
      `[*b, h, w]`, same dtype.

    Raises:
      TypeError: `image` is not floating point.
      ValueError: it is not `[*b, h, w, 3]`, or the patch is no odd int.

    Reference: He, Sun, Tang 2011, equation 5.
    """
    image, radius = haze.photo(image), _radius(patch)
    return windows.minimum(image.min(-1), radius)


def find_air_light(image, *, patch: int = 15, share: float = 0.001, pick: str = "brightest"):
    """Estimates the colour of the air: that of a bright pixel where the dark channel is brightest.

    Args:
      image: float `[*b, h, w, 3]` in [0, 1].
      patch: as for `dark_channel`.
      share: of the pixels, those with the brightest dark channel, to choose from.
      pick: "brightest" takes the pixel of the highest mean of its channels, as published, so one
        noisy or burnt pixel decides; "mean" averages the candidates.

    Returns:
      `[*b, 3]`, same dtype. The gradient goes to the pixels that were chosen.

    Raises:
      TypeError: `image` is not floating point.
      ValueError: it is not `[*b, h, w, 3]`, or an option is out of range.

    Reference: He, Sun, Tang 2011, section 4.3.
    """
    image = haze.photo(image)
    if pick not in PICKS:
        raise ValueError(f"pick must be one of {PICKS}, got {pick!r}")
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, got {share!r}")
    dark = dark_channel(image, patch=patch)
    pixels = image.reshape(*image.shape[:-3], -1, 3)
    count = math.ceil(share * pixels.shape[-2])
    _, places = jax.lax.top_k(dark.reshape(*dark.shape[:-2], -1), count)
    candidates = jnp.take_along_axis(pixels, places[..., None], axis=-2)
    if pick == "mean":
        return candidates.mean(-2)
    best = candidates.mean(-1).argmax(-1)[..., None, None]
    return jnp.take_along_axis(candidates, best, axis=-2)[..., 0, :]


def rough_transmission(image, *, air_light, patch: int = 15, omega: float = 0.95):
    """Estimates how much light comes through: `1 - omega dark_channel(image / air_light)`.

    Args:
      image: float `[*b, h, w, 3]` in [0, 1].
      air_light: float `[*b, 3]`.
      patch: as for `dark_channel`.
      omega: share of the haze to remove; a little left over keeps the depth.

    Returns:
      `[*b, h, w]`, constant over patches: `dehaze` refines it.

    Raises:
      TypeError: an argument is not floating point.
      ValueError: a shape that does not fit, or a patch that is no odd int.

    Reference: He, Sun, Tang 2011, equation 12.
    """
    image, air = haze.photo(image), haze.color("air_light", air_light)
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
):
    """Removes haze from a photo.

    Args:
      image: float `[*b, h, w, 3]` in [0, 1], display-referred.
      air_light: float `[*b, 3]` where it is known; None estimates it.
      patch: side of the patch of the dark channel, odd.
      omega: share of the haze to remove; 0 removes none.
      floor: least transmission to divide by.
      share: see `find_air_light`.
      pick: see `find_air_light`.
      radius: of the guided filter that fits the transmission to the photo's edges; patch and radius
        are for photos of about half a megapixel and grow with the picture.
      epsilon: of the guided filter.

    Returns:
      `[*b, h, w, 3]`, same dtype, clipped to [0, 1].

    Raises:
      TypeError: an argument is not floating point.
      ValueError: a shape that does not fit, or an option out of range.
    """
    given = haze.photo(image)
    image = given.astype(jnp.float32)
    air, shares = estimate(
        image,
        air_light=air_light,
        patch=patch,
        omega=omega,
        share=share,
        pick=pick,
        radius=radius,
        epsilon=epsilon,
    )
    clear = haze.remove(image, transmission=shares, air_light=air, floor=floor)
    return jnp.clip(clear, 0.0, 1.0).astype(given.dtype)


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
):
    """Estimates air light and refined transmission, as `dehaze` uses them.

    Args:
      image: float `[*b, h, w, 3]` in [0, 1].
      air_light: float `[*b, 3]` where it is known; None estimates it.
      patch: see `dehaze`.
      omega: see `dehaze`.
      share: see `find_air_light`.
      pick: see `find_air_light`.
      radius: see `dehaze`.
      epsilon: see `dehaze`.

    Returns:
      (air light `[*b, 3]`, transmission `[*b, h, w]`).

    Raises:
      TypeError: an argument is not floating point.
      ValueError: a shape that does not fit, or an option out of range.
    """
    image = haze.photo(image)
    if air_light is None:
        air = find_air_light(image, patch=patch, share=share, pick=pick)
    else:
        air = haze.color("air_light", air_light)
    rough = rough_transmission(image, air_light=air, patch=patch, omega=omega)
    return air, guided.smooth(rough, image, radius=radius, epsilon=epsilon)


def _radius(patch):
    if isinstance(patch, bool) or not isinstance(patch, int) or patch < 1 or patch % 2 == 0:
        raise ValueError(f"patch must be an odd int of at least 1, got {patch!r}")
    return patch // 2

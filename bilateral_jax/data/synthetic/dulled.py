"""Photos made dull: darker, paler, flatter, with a colour cast; some of them left as they are.

In linear light the exposure is changed by some stops and each channel by a gain of its own, and the
saturation is reduced; then the contrast of the display values is reduced about mid-grey, and noise
is added to them.
"""

from __future__ import annotations

import math

import numpy as np

from bilateral_jax import color, images
from bilateral_jax.data.sources import views

_MID_GREY = 0.5  # of display values


class Dulled(views.View):
    """Pairs of a dulled photo and the photo: `{"input", "target": [h, w, 3], "name"}`.

    Element `r * n + i` is photo i, with parameters drawn from the seed and its index.

    Args:
      photos: source of `{"image", "name"}` or `{"input", "name"}` (a target there is ignored),
        uint8 or uint16 `[h, w, 3]`.
      stops: (least, most) change of exposure, drawn uniformly.
      saturation: (least, most) factor of the saturation in linear light, drawn uniformly.
      contrast: (least, most) factor of the display values' distance from 0.5, drawn uniformly.
      cast: largest gain or loss of a channel in stops, drawn uniformly for each.
      tint: gains of red, green and blue in stops, the same for all photos, added to these.
      noise: standard deviation of the normal noise on the display values.
      window: (least, most) side of the window of the photo that is taken as the photo, relative to
        the photo's own sides, drawn uniformly, and so is its position: other compositions.
      untouched: the part of the elements, drawn at random, whose input is the photo itself.
      grey: the part of the elements, drawn at random, whose input and target have no colours: their
        luminance in linear light.
      seed: of all of these.
      rounds: passes over the photos, each with other parameters.

    Raises:
      ValueError: an empty or infinite range, a negative factor, cast or noise, a tint that is not
        three finite numbers, a part outside [0, 1], no rounds.
    """

    def __init__(
        self, photos, *, stops=(-1.2, 0.1), saturation=(0.6, 0.95), contrast=(0.75, 1.0),
        cast=0.1, tint=(0.0, 0.0, 0.0), noise=0.0, window=(1.0, 1.0), untouched=0.125, grey=0.0,
        seed=0, rounds=1,
    ):  # fmt: skip
        ranges = {"stops": stops, "saturation": saturation, "contrast": contrast}
        for name, (least, most) in ranges.items():
            if not -math.inf < least <= most < math.inf or (name != "stops" and least < 0):
                raise ValueError(
                    f"{name} must be (least, most), finite, factors at least 0; got {least, most}"
                )
        if not 0 <= cast < math.inf or not 0 <= untouched <= 1 or not 0 <= grey <= 1 or rounds < 1:
            raise ValueError(
                "cast must be at least 0, untouched and grey in [0, 1] and rounds at least 1; "
                f"got {cast}, {untouched}, {grey} and {rounds}"
            )
        if not 0 < window[0] <= window[1] <= 1:
            raise ValueError(f"window must be (least, most) in (0, 1], got {tuple(window)}")
        tint = np.asarray(tint, np.float64)
        if tint.shape != (3,) or not np.isfinite(tint).all() or not 0 <= noise < math.inf:
            raise ValueError(
                "tint must be three finite numbers and noise at least 0; got "
                f"{tint.tolist()} and {noise}"
            )
        super().__init__(photos)
        self._window = tuple(window)
        self._ranges = {name: tuple(range_) for name, range_ in ranges.items()}
        self._cast, self._tint, self._noise = cast, tint, np.float32(noise)
        self._untouched, self._grey = untouched, grey
        self._seed, self._rounds = seed, rounds

    def __len__(self) -> int:
        return super().__len__() * self._rounds

    def __getitem__(self, index: int) -> dict:
        """Reads one photo and dulls it.

        Args:
          index: position in [-len, len).

        Returns:
          `{"input", "target": the photo's dtype [h, w, 3], "name": str}`; the two are equal where
          the photo is untouched. In further rounds the name ends in the number of the round.

        Raises:
          IndexError: there is no such element.
        """
        index = views.check_index(index, len(self), "pairs")
        round_, number = divmod(index, len(self._source))
        element = self._source[number]
        photo = views.photo_of(element)
        name = element["name"] + (f"_dull{round_}" if round_ else "")
        rng = np.random.default_rng((self._seed, index))
        untouched = rng.uniform() < self._untouched
        if self._window[0] < 1:
            photo = _random_window(photo, rng.uniform(*self._window), rng)
        dull = photo if untouched else self._dull(photo, rng)
        if rng.uniform() < self._grey:
            photo, dull = grey_of_luminance(photo), grey_of_luminance(dull)
        return {"input": dull, "target": photo, "name": name}

    def _dull(self, photo, rng):
        draws = {name: np.float32(rng.uniform(*range_)) for name, range_ in self._ranges.items()}
        gains = np.exp2(draws["stops"] + rng.uniform(-self._cast, self._cast, 3) + self._tint)
        linear = color.srgb_to_linear(images.to_float(photo)) * gains.astype(np.float32)
        linear = color.scale_saturation(linear, draws["saturation"])
        flat = color.linear_to_srgb(np.clip(linear, 0, 1)) - np.float32(_MID_GREY)
        flat = flat * draws["contrast"] + np.float32(_MID_GREY)
        if self._noise:
            flat = flat + self._noise * rng.standard_normal(flat.shape, np.float32)
        return images.to_integer(flat, images.bit_depth(photo))


def _random_window(photo, scale, rng):
    """A view of a part of the photo with sides `scale` times as long, at a random position."""
    height, width = (max(1, round(side * scale)) for side in photo.shape[:2])
    top, left = (rng.integers(0, photo.shape[i] - (height, width)[i] + 1) for i in range(2))
    return photo[top : top + height, left : left + width]


def grey_of_luminance(photo) -> np.ndarray:
    """Gives each pixel the grey of its luminance in linear light.

    Args:
      photo: uint8 or uint16 `[h, w, 3]`, sRGB.

    Returns:
      The same shape and dtype; the three channels are equal.
    """
    grey = color.luminance(color.srgb_to_linear(images.to_float(photo)))[..., None]
    pixels = images.to_integer(np.clip(color.linear_to_srgb(grey), 0, 1), images.bit_depth(photo))
    return np.repeat(pixels, 3, axis=-1)

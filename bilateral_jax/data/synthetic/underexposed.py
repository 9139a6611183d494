"""Pairs with simulated underexposure of the input.

Exposure is reduced in linear light, a gamma and a little noise are applied to the display values,
and an integer input is rounded to 8 bits again. The target is unchanged. Images and clips.
"""

from __future__ import annotations

import numpy as np

from bilateral_jax import color, images
from bilateral_jax.data.sources import views


class Underexposed(views.View):
    """Pairs with darker inputs: `{"input": uint8 or float32 [..., h, w, 3], "target", "name"}`.

    Element `r * n + i` is pair i, with parameters drawn from the seed and its index.

    Args:
      pairs: source of `{"input", "target", "name"}`.
      stops: (least, most) stops of underexposure, drawn uniformly.
      gamma: (least, most) exponent of the display values after that, drawn uniformly.
      noise: standard deviation of the normal noise on the display values.
      seed: of stops, gammas and noise.
      rounds: passes over the pairs, each with other parameters.

    Raises:
      ValueError: empty ranges, negative noise, or no rounds.
    """

    def __init__(self, pairs, *, stops=(1.5, 2.5), gamma=(0.9, 1.2), noise=0.004, seed=0, rounds=1):
        for name, (least, most), above in (("stops", stops, None), ("gamma", gamma, 0)):
            if not least <= most or (above is not None and least <= above):
                raise ValueError(f"{name} must be (least, most), gamma above 0; got {least, most}")
        if noise < 0 or rounds < 1:
            raise ValueError(
                f"noise must be at least 0 and rounds at least 1, got {noise} and {rounds}"
            )
        super().__init__(pairs)
        self._stops, self._gamma = tuple(stops), tuple(gamma)
        self._noise, self._seed, self._rounds = noise, seed, rounds

    def __len__(self) -> int:
        return super().__len__() * self._rounds

    def __getitem__(self, index: int) -> dict:
        """Reads one pair and darkens its input.

        Args:
          index: position in [-len, len).

        Returns:
          The pair; in further rounds the name ends in the number of the round.

        Raises:
          IndexError: there is no such element.
        """
        index = views.check_index(index, len(self), "pairs")
        round_, number = divmod(index, len(self._source))
        pair = self._source[number]
        name = pair["name"] + (f"_dark{round_}" if round_ else "")
        rng = np.random.default_rng((self._seed, index))
        return {"input": self._darken(pair["input"], rng), "target": pair["target"], "name": name}

    def _darken(self, photo, rng):
        stops, gamma = rng.uniform(*self._stops), rng.uniform(*self._gamma)
        is_float = np.issubdtype(photo.dtype, np.floating)
        linear = color.srgb_to_linear(images.as_float(photo))
        linear = linear * np.float32(2.0**-stops)
        dark = color.linear_to_srgb(np.clip(linear, 0, 1)) ** np.float32(gamma)
        dark += np.float32(self._noise) * rng.standard_normal(dark.shape, np.float32)
        dark = np.clip(dark, 0, 1)
        return dark if is_float else images.to_integer(dark, 8)

"""Pairs whose input is made as dark as a photo that was exposed too short.

Stops are taken off in linear light, the tone is bent by a gamma, and a little noise is added before
the picture is rounded to 8 bits again: what a network sees that must bring the light back. The
target stays what it was.

Receives paired sources, such as `data/synthetic/demo_photos.py`'s or `data/sources/pairs.py`'s.
Hands elements to `data/pipeline/batches.py`.
"""

from __future__ import annotations

import numpy as np

from bilateral_jax import color, images
from bilateral_jax.data.sources import index_checks


class Darkened:
    """Darker inputs, uint8 or as floats: `{"input": [h, w, 3], "target": as it was, "name"}`.

    Element `r * n + i` is pair i, darkened as drawn from the seed and its index alone.

    Args:
      pairs: source of `{"input", "target", "name"}`.
      stops: (least, most) stops of light taken off, drawn evenly.
      gamma: (least, most) power of the display values after that, drawn evenly.
      noise: deviation of the normal noise on the display values.
      seed: of stops, gammas and noise.
      rounds: how many times the pairs are gone through, each time with other draws.

    Raises:
      ValueError: ranges that are none, negative noise, or no rounds.
    """

    def __init__(self, pairs, *, stops=(1.5, 2.5), gamma=(0.9, 1.2), noise=0.004, seed=0, rounds=1):
        for name, (least, most), above in (("stops", stops, None), ("gamma", gamma, 0)):
            if not least <= most or (above is not None and least <= above):
                raise ValueError(f"{name} must be (least, most), gamma above 0; got {least, most}")
        if noise < 0 or rounds < 1:
            raise ValueError(
                f"noise must be at least 0 and rounds at least 1, got {noise} and {rounds}"
            )
        self._pairs, self._stops, self._gamma = pairs, tuple(stops), tuple(gamma)
        self._noise, self._seed, self._rounds = noise, seed, rounds

    def __len__(self) -> int:
        return len(self._pairs) * self._rounds

    @property
    def skipped(self) -> list:
        """What the pairs have left out, as (name, reason)."""
        return getattr(self._pairs, "skipped", [])

    def __getitem__(self, index: int) -> dict:
        """Darkens the input of one pair.

        Args:
          index: position in [-len, len).

        Returns:
          The pair; in further rounds the name ends in the number of the round.

        Raises:
          IndexError: there is no such element.
        """
        index = index_checks.position(index, len(self), "pairs")
        round_, place = divmod(index, len(self._pairs))
        pair = self._pairs[place]
        name = pair["name"] + (f"_dark{round_}" if round_ else "")
        rng = np.random.default_rng((self._seed, index))
        return {"input": self._darken(pair["input"], rng), "target": pair["target"], "name": name}

    def _darken(self, photo, rng):
        stops, gamma = rng.uniform(*self._stops), rng.uniform(*self._gamma)
        kept = np.issubdtype(photo.dtype, np.floating)
        linear = color.srgb_to_linear(photo if kept else images.to_float(photo))
        linear = linear * np.float32(2.0**-stops)
        dark = color.linear_to_srgb(np.clip(linear, 0, 1)) ** np.float32(gamma)
        dark += np.float32(self._noise) * rng.standard_normal(dark.shape, np.float32)
        dark = np.clip(dark, 0, 1)
        return dark if kept else images.to_integer(dark, 8)

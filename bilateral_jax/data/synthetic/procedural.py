"""Procedural images with an exactly known retouch, for tests of training.

An image has soft gradients, discs with edges, and texture with the 1/f spectrum of photos. The
retouch is the same for the whole source, so the best possible model is known.
"""

from __future__ import annotations

import numpy as np

from bilateral_jax import resize
from bilateral_jax.data.sources import views

RETOUCHES = ("affine", "curve")


class SyntheticPairs:
    """Procedural pairs; element i depends only on the seed and i.

    Args:
      count: number of pairs.
      size: side in pixels, or (height, width).
      seed: of the images and of the retouch.
      retouch: "affine": one 3x4 colour matrix for all pixels (an affine grid reaches zero error);
        "curve": a monotone curve per channel before the matrix (a global matrix cannot reproduce
        it, a luma-dependent one nearly). Targets stay within [0, 1] without clipping.

    Raises:
      ValueError: unknown retouch, or no pixels, or no pairs.
    """

    def __init__(self, count: int, *, size=64, seed: int = 0, retouch: str = "affine"):
        if retouch not in RETOUCHES:
            raise ValueError(f"retouch must be one of {RETOUCHES}, got {retouch!r}")
        self._size = resize.both_sides(size)
        if count < 1 or min(self._size) < 1:
            raise ValueError(f"count and size must be at least 1, got {count} and {size}")
        self._count, self._seed = count, seed
        rng = np.random.default_rng((seed, 0))
        self.matrix = _random_matrix(rng)
        self.powers = rng.uniform(0.5, 0.9, 3) if retouch == "curve" else np.ones(3)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> dict:
        """Makes one pair.

        Args:
          index: position in [-len, len).

        Returns:
          `{"input", "target": float32 [h, w, 3] in [0, 1], "name": str}`.
        """
        index = views.check_index(index, self._count, "pairs")
        photo = _photo(np.random.default_rng((self._seed, 1, index)), *self._size)
        return {"input": photo, "target": self.apply(photo), "name": f"synthetic_{index:05d}"}

    def apply(self, image) -> np.ndarray:
        """Applies the retouch of the targets to an image.

        Args:
          image: float `[..., 3]` in [0, 1].

        Returns:
          float32 `[..., 3]` in [0, 1].
        """
        curved = np.asarray(image, np.float64) ** self.powers
        return (curved @ self.matrix[:, :3].T + self.matrix[:, 3]).astype(np.float32)


def _random_matrix(rng):
    """Draws a colour matrix `[3, 4]` that keeps the unit cube within [0.03, 0.97]."""
    matrix = np.eye(3) + rng.uniform(-0.35, 0.35, (3, 3))
    low = np.minimum(matrix, 0).sum(axis=1, keepdims=True)
    high = np.maximum(matrix, 0).sum(axis=1, keepdims=True)
    scale = 0.94 / (high - low)
    return np.concatenate([matrix * scale, 0.03 - low * scale], axis=1)


def _photo(rng, height, width):
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    rows, columns = (rows + 0.5) / height, (columns + 0.5) / width
    slope = rng.uniform(-0.5, 0.5, (2, 3))
    photo = rng.uniform(0.2, 0.8, 3) + rows[..., None] * slope[0] + columns[..., None] * slope[1]
    for _ in range(6):
        center, radius = rng.uniform(0, 1, 2), rng.uniform(0.05, 0.35)
        distance = np.hypot(rows - center[0], columns - center[1])
        # An edge about two pixels wide, as that of a lens.
        cover = np.clip((radius - distance) * min(height, width) / 2, 0, 1)[..., None]
        photo = photo * (1 - cover) + rng.uniform(0, 1, 3) * cover
    photo = photo + 0.12 * _texture(rng, height, width)[..., None] * rng.uniform(0.5, 1.0, 3)
    return np.clip(photo, 0, 1).astype(np.float32)


def _texture(rng, height, width):
    """Draws noise with a 1/f amplitude spectrum, mean 0 and standard deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    spectrum = np.fft.rfft2(rng.standard_normal((height, width)))
    spectrum = spectrum / np.maximum(frequency, 1 / max(height, width))
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, (height, width))
    return noise / max(float(noise.std()), 1e-12)

"""Pairs of the demo's photos and a simulated low-quality phone camera.

The simulation blurs, underexposes by a varying amount, reduces saturation, tints, adds read and
shot noise, lifts the black level and compresses as JPEG. Everything but exposure and noise is the
same for all photos. The photo itself is the target, so a pair is aligned to the pixel.
"""

from __future__ import annotations

import operator

import numpy as np

from bilateral_jax import color, images
from bilateral_jax.data.synthetic import demo_photos, jpeg

PHONE = {
    "blur": 0.9,  # standard deviation in pixels
    "stops": (-0.9, -0.3),  # exposure
    "mixing": 0.35,  # fraction of grey mixed into every colour
    "gains": (0.88, 1.0, 1.14),  # tint: red, green, blue
    "read_noise": 0.004,  # standard deviation in linear light
    "shot_noise": 0.0008,  # variance per linear light
    "black": 0.07,  # black level of the written image
    "quality": 70,  # of its JPEG
}


class SimulatedPhone:
    """Pairs of simulated phone images and photos, computed when the source is made.

    Args:
      split: "train" or "heldout", see `demo_photos.PHOTOS`.
      variants: inputs per photo, with other exposure and noise; they are consecutive.
      seed: of the exposures and of the noise.

    Raises:
      ValueError: unknown split, or no variants.
      ImportError: a package that the photos ship in is not installed.
    """

    def __init__(self, split: str, *, variants: int = 1, seed: int = 0):
        if split not in demo_photos.PHOTOS:
            raise ValueError(f"split must be one of {tuple(demo_photos.PHOTOS)}, got {split!r}")
        if variants < 1:
            raise ValueError(f"variants must be at least 1, got {variants}")
        self._elements = []
        for number, name in enumerate(demo_photos.PHOTOS[split]):
            photo = demo_photos.load(split, name)
            for variant in range(variants):
                rng = np.random.default_rng((seed, number, variant))
                label = name if variants == 1 else f"{name}_{variant:02d}"
                element = {"input": degrade(photo, rng), "target": photo, "name": label}
                self._elements.append(element)

    def __len__(self) -> int:
        return len(self._elements)

    def __getitem__(self, index: int) -> dict:
        """Returns one pair.

        Args:
          index: position in [-len, len).

        Returns:
          `{"input", "target": uint8 [h, w, 3], "name": str}`; not to be written into.
        """
        return self._elements[operator.index(index)]


def degrade(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Simulates the phone camera `PHONE` on a photo.

    Args:
      photo: uint8 `[h, w, 3]`.
      rng: for exposure and noise.

    Returns:
      uint8 of the same shape.
    """
    import cv2

    linear = color.srgb_to_linear(images.to_float(photo))
    linear = cv2.GaussianBlur(linear, (0, 0), PHONE["blur"], borderType=cv2.BORDER_REFLECT)
    linear = color.scale_saturation(linear, np.float32(1 - PHONE["mixing"]))
    gains = np.exp2(rng.uniform(*PHONE["stops"])) * np.array(PHONE["gains"])
    linear = linear * gains.astype(np.float32)
    variance = PHONE["read_noise"] ** 2 + PHONE["shot_noise"] * np.maximum(linear, 0)
    noise = rng.standard_normal(linear.shape, np.float32)
    linear = np.clip(linear + noise * np.sqrt(variance), 0, 1).astype(np.float32)
    written = PHONE["black"] + (1 - 2 * PHONE["black"]) * color.linear_to_srgb(linear)
    return jpeg.compress(images.to_integer(written, 8), PHONE["quality"])

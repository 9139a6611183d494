"""Distorted photos with synthetic ratings: the mean score falls with the strength of distortion.

The demo's photos are normalised to one tonal range and mean brightness; a copy is distorted with a
strength from 0 to 1, with which the mean score falls from 8 to 2 and the deviation grows. With
spoilt="together" a copy has a distortion of each of `GROUPS` (exposure, blur, noise, JPEG): one,
drawn at random, has the full strength, the others half of it or more. With spoilt="alone" it has
one distortion of `DISTORTIONS`, which has too much and too little of exposure, contrast and
sharpness, so the best photo lies between them. The first is easier to rank, but a network trained
on it relies on the distortions that always occur together (JPEG blocks, lost detail) and rates
noise alone as detail. A critic for training needs the second.
"""

from __future__ import annotations

import functools
import io

import numpy as np

from bilateral_jax import color, images
from bilateral_jax.data.pipeline import rating_distributions
from bilateral_jax.data.sources import views
from bilateral_jax.data.synthetic import demo_photos

# Height and width of a photo when it is distorted (portrait ones: the transpose). Small enough for
# blur, noise and JPEG blocks to survive the resizing to a network's input.
SIZE = (144, 216)
LEVELS = (0.25, 0.5, 0.75, 1.0)
MIXES = 32
MODES = ("together", "alone")
_MEAN_LUMA = 0.45


class SyntheticRatings:
    """Distorted copies of the demo's photos with ratings.

    Args:
      split: "train" or "heldout" of the demo's photos; no photo is in both.
      variants: copies per photo, each of another crop, flipped, recoloured and relit at random,
        with a random distortion and strength. None takes the whole photo, undistorted and, for
        "together", with `MIXES` strengths that rise evenly to 1, or, for "alone", with every
        distortion at all `LEVELS`.
      spoilt: "together" or "alone", see the module.
      size: (height, width) at which a photo is distorted, its transpose for a portrait one.
      seed: of the random numbers.

    Raises:
      ValueError: unknown split, mode or size, or no variants.
      ImportError: a package that the photos ship in is not installed.
    """

    def __init__(
        self,
        split: str,
        *,
        variants: int | None = None,
        spoilt: str = "together",
        size: tuple[int, int] = SIZE,
        seed: int = 0,
    ):
        if split not in demo_photos.PHOTOS:
            raise ValueError(f"split must be one of {tuple(demo_photos.PHOTOS)}, got {split!r}")
        if variants is not None and variants < 1:
            raise ValueError(f"variants must be at least 1, got {variants}")
        if spoilt not in MODES:
            raise ValueError(f"spoilt must be one of {MODES}, got {spoilt!r}")
        if len(size) != 2 or min(size) < 16:
            raise ValueError(f"size must be (height, width) of at least 16 pixels, got {size}")
        self._names, self._seed, self._variants = tuple(demo_photos.PHOTOS[split]), seed, variants
        self._photos = [demo_photos.load(split, name) for name in self._names]
        self._mode, self._size = spoilt, tuple(size)
        plans = {
            "together": [("mix", step / MIXES) for step in range(1, MIXES + 1)],
            "alone": [(kind, strength) for kind in DISTORTIONS for strength in LEVELS],
        }
        self._plan = [("none", 0.0), *plans[spoilt]]

    def __len__(self) -> int:
        return len(self._photos) * (self._variants or len(self._plan))

    def __getitem__(self, index: int) -> dict:
        """Makes one copy.

        Args:
          index: position in [-len, len); the copies of a photo are consecutive.

        Returns:
          `{"image": uint8 [h, w, 3], "shares": float32 [10], "reference": int32 (which photo),
          "strength": float32, "name": str}`.
        """
        index = views.check_index(index, len(self), "photos")
        number, copy = divmod(index, self._variants or len(self._plan))
        rng = np.random.default_rng((self._seed, number, copy))
        if self._variants is None:
            photo = _whole(self._photos[number], self._size)
            kind, strength = self._plan[copy]
        else:
            photo = _vary(self._photos[number], self._size, rng)
            kind = "mix" if self._mode == "together" else str(rng.choice(tuple(DISTORTIONS)))
            strength = rng.uniform()
        return {
            "image": distort(normalize(photo), kind, strength, rng),
            "shares": _shares(round(float(strength), 4)),
            "reference": np.int32(number),
            "strength": np.float32(strength),
            "name": f"{self._names[number]}_{copy:04d}_{kind}_{strength:.2f}",
        }


def normalize(photo) -> np.ndarray:
    """Stretches a photo to the full range and to one mean luma, by one curve for all pixels.

    Args:
      photo: uint8 `[h, w, 3]`.

    Returns:
      float32 `[h, w, 3]` in [0, 1].
    """
    image = images.to_float(photo)
    sample = image[::4, ::4]
    low, high = np.percentile(color.luminance(sample), (0.5, 99.5))
    image, sample = (np.clip((x - low) / max(high - low, 1e-3), 0, 1) for x in (image, sample))
    bottom, top = 0.2, 5.0  # bisection of the exponent: the mean falls as it rises
    for _ in range(20):
        exponent = np.float32((bottom * top) ** 0.5)
        brighter = color.luminance(sample**exponent).mean() > _MEAN_LUMA
        bottom, top = (exponent, top) if brighter else (bottom, exponent)
    return image**exponent


def distort(image, kind: str, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Distorts an image.

    Args:
      image: float32 `[h, w, 3]` in [0, 1].
      kind: a key of `DISTORTIONS`, "none", or "mix" for one distortion of each of `GROUPS`.
      strength: from 0 to 1.
      rng: of the noise, and of the strengths in a mix.

    Returns:
      uint8 `[h, w, 3]`.

    Raises:
      ValueError: unknown kind, or a strength outside of [0, 1].
    """
    if kind not in ("none", "mix", *DISTORTIONS):
        raise ValueError(f"kind must be one of {('none', 'mix', *DISTORTIONS)}, got {kind!r}")
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must lie in [0, 1], got {strength}")
    for name, factor in _factors(kind, rng):
        image = np.clip(DISTORTIONS[name](image, factor * strength, rng), 0, 1).astype(np.float32)
    return images.to_integer(np.clip(image, 0, 1).astype(np.float32), 8)


def _expose(stops):
    def change(image, strength, rng):
        light = color.srgb_to_linear(image) * np.float32(2.0 ** (stops * strength))
        return color.linear_to_srgb(np.clip(light, 0, 1))

    return change


def _flatten(image, strength, rng):
    middle = image.mean()
    return middle + (image - middle) * (1 - 0.8 * strength)


def _harden(image, strength, rng):
    return 0.5 + (image - 0.5) * 4**strength


def _blur(image, strength, rng):
    return _smooth(image, 0.3 + 2.5 * strength)


def _add_noise(image, strength, rng):
    return image + rng.normal(0, 0.2 * strength, image.shape)


def _compress(image, strength, rng):
    import PIL.Image

    content = io.BytesIO()
    pixels = images.to_integer(image, 8)
    PIL.Image.fromarray(pixels).save(content, "JPEG", quality=round(40 * (2 / 40) ** strength))
    return images.to_float(np.asarray(PIL.Image.open(content)))


def _sharpen(image, strength, rng):
    return image + 8 * strength * (image - _smooth(image, 1.5))


def _smooth(image, sigma):
    import cv2

    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)


DISTORTIONS = {
    "dark": _expose(-3.5),
    "bright": _expose(3.0),
    "flat": _flatten,
    "hard": _harden,
    "blur": _blur,
    "noise": _add_noise,
    "jpeg": _compress,
    "sharp": _sharpen,
}
# In the order in which they occur in a camera; "mix" takes one of each group.
GROUPS = (("dark", "bright", "flat"), ("blur",), ("noise",), ("jpeg",))


def _factors(kind, rng):
    """Draws the distortions of an image, with the factor of the strength for each."""
    if kind == "none":
        return []
    if kind != "mix":
        return [(kind, 1.0)]
    factors = rng.uniform(0.5, 1.0, size=len(GROUPS))
    factors[rng.integers(len(GROUPS))] = 1.0
    return [(str(rng.choice(group)), factor) for group, factor in zip(GROUPS, factors)]


def _whole(photo, size):
    size = size if photo.shape[1] >= photo.shape[0] else size[::-1]
    return demo_photos.resized_crop(photo, size=size)


def _vary(photo, size, rng):
    """Crops, flips, recolours and relights a photo at random.

    Five photos have few colours and few distributions of light; the rating must not be predictable
    from the subject.
    """
    size = size if rng.uniform() < 0.5 else size[::-1]
    scale, down, right = rng.uniform(0.4, 1.0), rng.uniform(), rng.uniform()
    view = demo_photos.resized_crop(photo, size=size, scale=scale, down=down, right=right)
    view = images.to_float(view[:: rng.choice((-1, 1)), :, rng.permutation(3)])
    view = color.scale_saturation(view, np.float32(rng.uniform(0.0, 1.3)))
    rows, columns = (np.linspace(-1, 1, length) for length in size)
    slope = rng.uniform(-0.7, 0.7, 2)
    light = np.exp2(rows[:, None] * slope[0] + columns * slope[1])[..., None]
    view = light * np.clip(view, 0, 1) ** 2.0 ** rng.uniform(-0.8, 0.8)
    return images.to_integer(np.clip(view, 0, 1).astype(np.float32), 8)


@functools.cache
def _shares(strength):
    mean, deviation = 8 - 6 * strength, 1 + 0.5 * strength
    return rating_distributions.maximum_entropy(mean - 1, deviation=deviation).astype(np.float32)

"""Photos spoilt to a known degree, with the opinion of a judge who sees nothing else.

A stand-in for a data set of rated photos. The demo's photos are brought to one tonal range and
one mean brightness, which is called flawless; a copy is spoilt in one way (`KINDS`) with a strength
from 0 to 1; the mean score falls from 8 to 2 with it, and opinions spread. There is too much and
too little of exposure, of contrast and of sharpness, so the best photo lies between them.

Receives photos from `data/demo.py`.
Hands elements to `data/rated.py`.
"""

from __future__ import annotations

import functools
import io
import operator

import numpy as np

from bilateral_jax import color, images
from bilateral_jax.data import demo, opinions

# Height and width of a photo as it is spoilt (upright ones: the transpose). Blur, noise and the
# blocks of JPEG must survive being shrunk to what a small network sees.
SIZE = (144, 216)
LEVELS = (0.25, 0.5, 0.75, 1.0)
_MEAN_LUMA = 0.45


class GradedPhotos:
    """Spoilt copies of the demo's photos.

    Args:
      split: "train" or "heldout" of the demo's photos; no photo is in both.
      variants: copies per photo, each of another window, turned, coloured and lit at random, in a
        random way and with a random strength. None takes the whole photo, flawless, and in every
        way at every one of `LEVELS`.
      seed: of the random choices, and of the noise.

    Raises:
      ValueError: unknown split, or no variants.
      ImportError: a package that the photos ship in is not installed.
    """

    def __init__(self, split: str, *, variants: int | None = None, seed: int = 0):
        if split not in demo.PHOTOS:
            raise ValueError(f"split must be one of {tuple(demo.PHOTOS)}, got {split!r}")
        if variants is not None and variants < 1:
            raise ValueError(f"variants must be at least 1, got {variants}")
        self._names, self._seed, self._variants = tuple(demo.PHOTOS[split]), seed, variants
        self._photos = [demo.load(split, name) for name in self._names]
        self._plan = [("none", 0.0)] + [(kind, s) for kind in KINDS for s in LEVELS]

    def __len__(self) -> int:
        return len(self._photos) * (self._variants or len(self._plan))

    def __getitem__(self, index: int) -> dict:
        """Makes one copy.

        Args:
          index: position in [0, len); the copies of a photo lie together.

        Returns:
          `{"image": uint8 [144, 216, 3] or [216, 144, 3], "shares": float32 [10], "reference":
          int32 (which photo), "strength": float32, "name": str}`.
        """
        index = operator.index(index)
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} is outside a source of {len(self)} photos")
        number, copy = divmod(index, self._variants or len(self._plan))
        rng = np.random.default_rng((self._seed, number, copy))
        if self._variants is None:
            photo = _whole(self._photos[number])
            kind, strength = self._plan[copy]
        else:
            photo = _window(self._photos[number], rng)
            kind, strength = str(rng.choice(tuple(KINDS))), rng.uniform()
        return {
            "image": spoil(flawless(photo), kind, strength, rng),
            "shares": _shares(round(float(strength), 4)),
            "reference": np.int32(number),
            "strength": np.float32(strength),
            "name": f"{self._names[number]}_{copy:04d}_{kind}_{strength:.2f}",
        }


def flawless(photo) -> np.ndarray:
    """Brings a photo to the full range and to one mean brightness, by one curve for all pixels.

    Args:
      photo: uint8 `[h, w, 3]`.

    Returns:
      float32 `[h, w, 3]` in [0, 1].
    """
    image = images.to_float(photo)
    some = image[::4, ::4]  # enough to measure
    low, high = np.percentile(color.luminance(some), (0.5, 99.5))
    image, some = (np.clip((x - low) / max(high - low, 1e-3), 0, 1) for x in (image, some))
    bottom, top = 0.2, 5.0  # bisection of the exponent: the mean falls as it rises
    for _ in range(20):
        exponent = np.float32((bottom * top) ** 0.5)
        brighter = color.luminance(some**exponent).mean() > _MEAN_LUMA
        bottom, top = (exponent, top) if brighter else (bottom, exponent)
    return image**exponent


def spoil(image, kind: str, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Spoils a photo.

    Args:
      image: float32 `[h, w, 3]` in [0, 1].
      kind: a key of `KINDS`, or "none".
      strength: from 0 (hardly anything) to 1.
      rng: of the noise.

    Returns:
      uint8 `[h, w, 3]`.

    Raises:
      ValueError: unknown kind, or a strength outside of [0, 1].
    """
    if kind != "none" and kind not in KINDS:
        raise ValueError(f"kind must be one of {('none', *KINDS)}, got {kind!r}")
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must lie in [0, 1], got {strength}")
    if kind != "none":
        image = KINDS[kind](image, strength, rng)
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


KINDS = {
    "dark": _expose(-3.5),
    "bright": _expose(3.0),
    "flat": _flatten,
    "hard": _harden,
    "blur": _blur,
    "noise": _add_noise,
    "jpeg": _compress,
    "sharp": _sharpen,
}


def _whole(photo):
    size = SIZE if photo.shape[1] >= photo.shape[0] else SIZE[::-1]
    return demo.scaled(photo, size=size)


def _window(photo, rng):
    """Another view of a photo: cut, turned, coloured and lit otherwise.

    Five photos have few colours and few distributions of light; what is wrong with a picture must
    not be told by its subject.
    """
    size = SIZE if rng.uniform() < 0.5 else SIZE[::-1]
    scale, down, right = rng.uniform(0.4, 1.0), rng.uniform(), rng.uniform()
    view = demo.scaled(photo, size=size, scale=scale, down=down, right=right)
    view = images.to_float(view[:: rng.choice((-1, 1)), :, rng.permutation(3)])
    grey = color.luminance(view)[..., None]
    view = grey + (view - grey) * np.float32(rng.uniform(0.0, 1.3))
    rows, columns = (np.linspace(-1, 1, length) for length in size)
    slope = rng.uniform(-0.7, 0.7, 2)
    light = np.exp2(rows[:, None] * slope[0] + columns * slope[1])[..., None]
    view = light * np.clip(view, 0, 1) ** 2.0 ** rng.uniform(-0.8, 0.8)
    return images.to_integer(np.clip(view, 0, 1).astype(np.float32), 8)


@functools.cache
def _shares(strength):
    mean, deviation = 8 - 6 * strength, 1 + 0.5 * strength
    return opinions.maximum_entropy(mean - 1, deviation=deviation).astype(np.float32)

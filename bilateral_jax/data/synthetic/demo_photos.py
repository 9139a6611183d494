"""The demo's photos: no network, no download; they ship inside packages that are installed anyway.

The targets are made by our own local Laplacian filter (`LOOK`): the photo is brought to one mean
brightness, its shadows are lit and its highlights calmed by brightness relative to their
surroundings, local contrast and colour are raised. What that does to a pixel depends on where it
is, so one colour matrix for the whole photo cannot follow. Since the operator is at hand, a
training photo may be exposed, tinted and cut differently before it is applied, and the pair is
still exact.

Receives photos from scikit-image, scikit-learn and Matplotlib.
Hands elements to `data/pipeline/batches.py`.
"""

from __future__ import annotations

import functools
import operator
import pathlib

import numpy as np

from bilateral_jax import color, images
from bilateral_jax.data.sources import unpaired
from bilateral_jax.filters import local_laplacian

LOOK = {
    "sigma": 0.9,
    "alpha": 0.55,
    "beta": 0.0,
    "noise": 0.1,
    "key_value": 0.3,
    "shoulder": 4.0,
    "saturation": 1.1,
    "black": 2.0**-7,
    "samples": 10,
}

# name -> (package, file inside of it). The held-out photos are never trained on.
PHOTOS = {
    "train": {
        "astronaut": ("skimage", "data/astronaut.png"),
        "motorcycle": ("skimage", "data/motorcycle_left.png"),
        "rocket": ("skimage", "data/rocket.jpg"),
        "flower": ("sklearn", "datasets/images/flower.jpg"),
        "hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    },
    "heldout": {
        "coffee": ("skimage", "data/coffee.png"),
        "chelsea": ("skimage", "data/chelsea.png"),
        "china": ("sklearn", "datasets/images/china.jpg"),
    },
}

# All photos are brought to this size (upright ones to its transpose), so that the operator compiles
# once.
SIZE = (384, 576)

_DISTRIBUTIONS = {"skimage": "scikit-image", "sklearn": "scikit-learn", "matplotlib": "Matplotlib"}


class DemoPhotos:
    """Demo pairs, made when the source is made and kept in memory.

    Args:
      split: "train" or "heldout".
      variants: pairs per photo. The first is the photo as it is; the others are cut, exposed,
        tinted and so on at random before the operator is applied. Held-out photos have one.
      seed: of the random changes.

    Raises:
      ValueError: unknown split, no variants, or variants of held-out photos.
      ImportError: a package that the photos ship in is not installed.
    """

    def __init__(self, split: str, *, variants: int = 1, seed: int = 0):
        self._elements = [
            {"input": given, "target": _retouch()(given), "name": name}
            for name, given in inputs(split, variants=variants, seed=seed)
        ]

    def __len__(self) -> int:
        return len(self._elements)

    def __getitem__(self, index: int) -> dict:
        """Gives one pair.

        Args:
          index: position in [-len, len); the variants of a photo lie together.

        Returns:
          `{"input", "target": uint8 [384, 576, 3] or [576, 384, 3], "name": str}`; not to be
          written into.
        """
        return self._elements[operator.index(index)]


def inputs(split: str, *, variants: int = 1, seed: int = 0):
    """Makes the photos of a split in the demo's size, and variants of them, without targets.

    Args:
      split: "train" or "heldout".
      variants: of every photo, as for `DemoPhotos`.
      seed: of the random changes.

    Yields:
      (name, uint8 `[h, w, 3]`), the variants of a photo one after the other.

    Raises:
      ValueError: unknown split, no variants, or variants of held-out photos.
      ImportError: a package that the photos ship in is not installed.
    """
    if split not in PHOTOS:
        raise ValueError(f"split must be one of {tuple(PHOTOS)}, got {split!r}")
    if variants < 1 or (split == "heldout" and variants > 1):
        raise ValueError(f"variants must be at least 1, and 1 for heldout; got {variants}")
    for number, name in enumerate(PHOTOS[split]):
        photo = load(split, name)
        for variant in range(variants):
            rng = np.random.default_rng((seed, number, variant))
            label = f"{name}_{variant:02d}" if variants > 1 else name
            yield label, _vary(photo, rng) if variant else _fit(photo)


class Retouched:
    """Pairs of a folder's own photos: cut and scaled as the demo's, and retouched by its operator.

    Args:
      root: folder of 8-bit photos.
      **checks: `verify`, `on_bad`, `threads` of `checked.Checked`, `follow_links`.

    Raises:
      ValueError: the folder is missing or empty, or as `checked.Checked`.
    """

    def __init__(self, root, **checks):
        self._photos = unpaired.Pictures.folder(root, bits=8, **checks)

    def __len__(self) -> int:
        return len(self._photos)

    @property
    def skipped(self) -> list:
        """What the folder has left out, as (name, reason)."""
        return self._photos.skipped

    def __getitem__(self, index: int) -> dict:
        """Reads one photo and retouches it.

        Args:
          index: position in [-len, len).

        Returns:
          `{"input", "target": uint8 [384, 576, 3] or [576, 384, 3], "name": str}`.
        """
        photo = self._photos[index]
        given = _fit(photo["image"])
        return {"input": given, "target": _retouch()(given), "name": photo["name"]}


def load(split: str, name: str) -> np.ndarray:
    """Reads one photo out of the package that it ships in, at its own size.

    Args:
      split: "train" or "heldout".
      name: key of `PHOTOS[split]`.

    Returns:
      uint8 `[h, w, 3]`.

    Raises:
      ImportError: the package is not installed, or came without the photo.
    """
    package, file = PHOTOS[split][name]
    try:
        folder = __import__(package).__path__[0]
    except ImportError as error:
        raise ImportError(
            f"the demo photo {name} ships in {_DISTRIBUTIONS[package]}, which is not installed: "
            'pip install "bilateral_jax[demo]"'
        ) from error
    path = pathlib.Path(folder) / file
    if not path.is_file():
        raise ImportError(f"this {_DISTRIBUTIONS[package]} came without the photo {path}")
    return images.read(path).pixels


@functools.cache
def _retouch():
    """Compiles the operator for uint8 photos of `SIZE` or its transpose."""
    import jax

    apply = jax.jit(lambda image: local_laplacian.enhance(image, **LOOK))

    def retouch(photo):
        # The filter treats rows and columns alike.
        upright = photo.shape[0] > photo.shape[1]
        image = images.to_float(photo.swapaxes(0, 1) if upright else photo)
        result = images.to_integer(apply(image), 8)
        return np.ascontiguousarray(result.swapaxes(0, 1) if upright else result)

    return retouch


def _fit(photo):
    """Cuts the largest central window of the right shape and scales it."""
    size = SIZE if photo.shape[1] >= photo.shape[0] else SIZE[::-1]
    return scaled(photo, size=size)


def _vary(photo, rng):
    """Photographs it again: another cut, exposure, tint, contrast and saturation."""
    size = SIZE if rng.uniform() < 0.5 else SIZE[::-1]
    scale, down, right = rng.uniform(0.6, 1.0), rng.uniform(), rng.uniform()
    image = images.to_float(scaled(photo, size=size, scale=scale, down=down, right=right))
    contrast, stops = rng.uniform(0.8, 1.25), rng.uniform(-1.2, 1.2)
    gains = np.exp2(stops + rng.uniform(-0.2, 0.2, 3)).astype(np.float32)
    linear = 0.2 * (color.srgb_to_linear(image) / 0.2) ** np.float32(contrast) * gains
    grey = color.luminance(linear)[..., None]
    linear = grey + (linear - grey) * np.float32(rng.uniform(0.5, 1.3))
    return images.to_integer(color.linear_to_srgb(np.clip(linear, 0, 1)), 8)


def scaled(photo, *, size, scale=1.0, down=0.5, right=0.5) -> np.ndarray:
    """Cuts a window of the right shape out of a photo and scales it.

    Args:
      photo: uint8 `[h, w, 3]`.
      size: (height, width) of the result.
      scale: of the window, relative to the largest that fits.
      down: where it lies, from 0 (top) to 1.
      right: where it lies, from 0 (left) to 1.

    Returns:
      uint8 `[*size, 3]`.
    """
    import PIL.Image

    height, width = photo.shape[:2]
    fitting = min(height / size[0], width / size[1]) * scale
    tall, wide = fitting * size[0], fitting * size[1]
    top, left = (height - tall) * down, (width - wide) * right
    image = PIL.Image.fromarray(photo)
    box = (left, top, left + wide, top + tall)
    return np.asarray(image.resize(size[::-1], PIL.Image.Resampling.LANCZOS, box=box))

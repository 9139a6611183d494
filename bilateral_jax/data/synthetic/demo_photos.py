"""The demo's pairs: photos shipped in installed packages, with targets of a local Laplacian filter.

The photos are those of scikit-image, scikit-learn and Matplotlib; nothing is downloaded. The filter
(`FILTER`) normalises the mean brightness, compresses the tonal range relative to the surroundings,
and raises local contrast and saturation. The result depends on a pixel's surroundings, so one
colour matrix for the whole photo cannot reproduce it. Since the operator is known, a training photo
may be exposed, tinted and cropped at random before it is applied, and the pair stays exact.
"""

from __future__ import annotations

import functools
import operator
import pathlib

import numpy as np

from bilateral_jax import color, images
from bilateral_jax.data.sources import unpaired, views
from bilateral_jax.filters import local_laplacian

FILTER = {
    "sigma": 0.9,
    "alpha": 0.55,
    "beta": 0.0,
    "noise": 0.1,
    "key_value": 0.3,
    "shoulder": 4.0,
    "saturation": 1.1,
    "black": 2.0**-7,
    "samples": 10,  # as the published runs had; the operator is then coarser than its exact form
}

# name -> (package, file in it). The held-out photos are never trained on.
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

# All photos are resized to this (portrait ones to its transpose): the operator compiles once.
SIZE = (384, 576)

_DISTRIBUTIONS = {"skimage": "scikit-image", "sklearn": "scikit-learn", "matplotlib": "Matplotlib"}


class DemoPhotos:
    """Demo pairs, computed when the source is made and kept in memory.

    Args:
      split: "train" or "heldout".
      variants: pairs per photo. The first is the photo as it is; the others are cropped, exposed,
        tinted and so on at random before the operator is applied. Held-out photos have one.
      seed: of the random changes.

    Raises:
      ValueError: unknown split, no variants, or variants of held-out photos.
      ImportError: a package that the photos ship in is not installed.
    """

    def __init__(self, split: str, *, variants: int = 1, seed: int = 0):
        self._elements = [
            {"input": photo, "target": _retouch()(photo), "name": name}
            for name, photo in inputs(split, variants=variants, seed=seed)
        ]

    def __len__(self) -> int:
        return len(self._elements)

    def __getitem__(self, index: int) -> dict:
        """Returns one pair.

        Args:
          index: position in [-len, len); the variants of a photo are consecutive.

        Returns:
          `{"input", "target": uint8 [384, 576, 3] or [576, 384, 3], "name": str}`; not to be
          written into.
        """
        return self._elements[operator.index(index)]


def inputs(split: str, *, variants: int = 1, seed: int = 0):
    """Iterates over the photos of a split in the demo's size and variants of them, no targets.

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


class RetouchedFolder(views.View):
    """Pairs made of a folder of photos: cropped and resized as the demo's, with its operator.

    Args:
      root: folder of 8-bit photos.
      **checks: `verify`, `on_bad`, `threads` of `file_source.FileSource`, `follow_links`.

    Raises:
      ValueError: the folder is missing or empty, or as `file_source.FileSource`.
    """

    def __init__(self, root, **checks):
        super().__init__(unpaired.ImageSource.folder(root, bits=8, **checks))

    def __getitem__(self, index: int) -> dict:
        """Reads one photo and retouches it.

        Args:
          index: position in [-len, len).

        Returns:
          `{"input", "target": uint8 [384, 576, 3] or [576, 384, 3], "name": str}`.
        """
        element = self._source[index]
        photo = _fit(element["image"])
        return {"input": photo, "target": _retouch()(photo), "name": element["name"]}


def load(split: str, name: str) -> np.ndarray:
    """Reads one photo of an installed package, at its own size.

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

    apply = jax.jit(lambda image: local_laplacian.enhance(image, **FILTER))

    def retouch(photo):
        # The filter is symmetric in rows and columns.
        upright = photo.shape[0] > photo.shape[1]
        image = images.to_float(photo.swapaxes(0, 1) if upright else photo)
        result = images.to_integer(apply(image), 8)
        return np.ascontiguousarray(result.swapaxes(0, 1) if upright else result)

    return retouch


def _fit(photo):
    """Crops to the largest central window of the demo's aspect ratio and resizes it."""
    size = SIZE if photo.shape[1] >= photo.shape[0] else SIZE[::-1]
    return resized_crop(photo, size=size)


def _vary(photo, rng):
    """Draws another crop, exposure, tint, contrast and saturation."""
    size = SIZE if rng.uniform() < 0.5 else SIZE[::-1]
    scale, down, right = rng.uniform(0.6, 1.0), rng.uniform(), rng.uniform()
    image = images.to_float(resized_crop(photo, size=size, scale=scale, down=down, right=right))
    contrast, stops = rng.uniform(0.8, 1.25), rng.uniform(-1.2, 1.2)
    gains = np.exp2(stops + rng.uniform(-0.2, 0.2, 3)).astype(np.float32)
    linear = 0.2 * (color.srgb_to_linear(image) / 0.2) ** np.float32(contrast) * gains
    linear = color.scale_saturation(linear, np.float32(rng.uniform(0.5, 1.3)))
    return images.to_integer(color.linear_to_srgb(np.clip(linear, 0, 1)), 8)


def resized_crop(photo, *, size, scale=1.0, down=0.5, right=0.5) -> np.ndarray:
    """Crops a photo to the aspect ratio of a size and resizes it.

    Args:
      photo: uint8 `[h, w, 3]`.
      size: (height, width) of the result.
      scale: of the window, relative to the largest that fits.
      down: position of the window, from 0 (top) to 1 (bottom).
      right: position of the window, from 0 (left) to 1 (right).

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

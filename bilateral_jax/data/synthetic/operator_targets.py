"""Pairs whose targets an operator makes of the photos: a teacher's examples.

The operator is a function of pixels that the caller brings; what stands behind it (a classical
filter, a trained network) is not known here. It may be slow, so every target is made once.

Receives a source of photos and a function from `bilateral_jax/data/registry.py`.
Hands pairs to `data/pipeline/batches.py`.
"""

from __future__ import annotations

import hashlib
import pathlib
import threading

import numpy as np

from bilateral_jax import images
from bilateral_jax.data.sources import image_files, readers, unpaired
from bilateral_jax.data.synthetic import demo_photos


class Retouched:
    """Pairs of photos and what an operator makes of each whole photo.

    Args:
      photos: a source of `{"image", "name"}` or `{"input", "name"}` (a target there is ignored),
      uint8
        or uint16 `[h, w, 3]`.
      operator: `pixels -> pixels` of the same shape and dtype. label: says what the operator is,
      with all that its result depends on: part of the key under which
        targets are kept.
      cache: folder that keeps the targets as PNG files, over runs, too; None keeps them in memory.
    """

    def __init__(self, photos, operator, *, label: str, cache=None):
        self._photos, self._operator, self._label = photos, operator, label
        self._folder = None if cache is None else pathlib.Path(cache)
        self._kept, self._lock = {}, threading.Lock()

    @property
    def skipped(self) -> list:
        """What the source of the photos has left out, as (name, reason)."""
        return getattr(self._photos, "skipped", [])

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, index: int) -> dict:
        """Gives one pair; the first time its target is made.

        Args:
          index: position in [-len, len).

        Returns:
          `{"input", "target": uint8 or uint16 [h, w, 3], "name": str}`; not to be written into.

        Raises:
          TypeError: the photo is neither uint8 nor uint16.
          ValueError: the operator gave another shape or dtype.
        """
        return self._pair(self._photos[index])

    def exact(self, index: int) -> dict:
        """Gives one pair, never another in its place; see `checked.Checked.exact`.

        Args:
          index: position in [-len, len).

        Returns:
          As `self[index]`.
        """
        return self._pair(getattr(self._photos, "exact", self._photos.__getitem__)(index))

    def _pair(self, element):
        given = element["image"] if "image" in element else element["input"]
        if given.dtype not in (np.uint8, np.uint16):
            raise TypeError(f"photo {element['name']} must be uint8 or uint16, got {given.dtype}")
        return {"input": given, "target": self._target(given), "name": element["name"]}

    def _target(self, given):
        key = hashlib.sha256(repr((self._label, given.shape, given.dtype.str)).encode())
        key.update(np.ascontiguousarray(given))
        # One at a time: threads that want the same target wait for it instead of making it, too.
        with self._lock:
            if self._folder is None:
                if key.digest() not in self._kept:
                    self._kept[key.digest()] = self._make(given)
                return self._kept[key.digest()]
            path = self._folder / f"{key.hexdigest()[:32]}.png"
            if not path.is_file():
                self._folder.mkdir(parents=True, exist_ok=True)
                images.write(path, self._make(given))
            return images.read(path).pixels

    def _make(self, given):
        made = np.asarray(self._operator(given))
        if made.shape != given.shape or made.dtype != given.dtype:
            raise ValueError(
                f"the operator {self._label} must keep shape and dtype, {given.dtype} "
                f"{given.shape}; it gave {made.dtype} {made.shape}"
            )
        return made

    def __getstate__(self):
        return self.__dict__ | {"_lock": None}

    def __setstate__(self, state):
        self.__dict__.update(state | {"_lock": threading.Lock()})


def photo_folder(root, *, long_side: int | None = None, **checks) -> unpaired.Pictures:
    """Takes the pictures of one folder, sorted by name.

    Args:
      root: the folder.
      long_side: larger pictures are scaled down to it.
      **checks: `verify`, `on_bad`, `threads` of `checked.Checked`.

    Returns:
      Source of `{"image": uint8 or uint16 [h, w, 3], "name"}`.

    Raises:
      ValueError: the folder is missing or empty, or as `checked.Checked`.
    """
    found = image_files.pictures(root)
    pictures = [unpaired.Picture(path.name, path) for path in found.values()]
    rendition = readers.scaled(readers.AsStored(), long_side)
    return unpaired.Pictures(pictures, rendition=rendition, **checks)


class DemoInputs:
    """The demo's photos and variants of them, without the demo's targets.

    Args:
      split: "train" or "heldout".
      variants: of every photo; the first is the photo, the others are cut, exposed and tinted.
      seed: of the variants.

    Raises:
      ValueError: as `demo.DemoPhotos`.
      ImportError: as `demo.DemoPhotos`.
    """

    def __init__(self, split: str, *, variants: int = 1, seed: int = 0):
        self._elements = list(demo_photos.inputs(split, variants=variants, seed=seed))

    def __len__(self) -> int:
        return len(self._elements)

    def __getitem__(self, index: int) -> dict:
        """Gives `{"image": uint8 [h, w, 3], "name": str}`; not to be written into."""
        name, pixels = self._elements[index]
        return {"image": pixels, "name": name}

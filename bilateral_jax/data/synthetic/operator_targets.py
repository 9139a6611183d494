"""Pairs whose targets are computed from the inputs by an operator, for training by a teacher.

The operator is any function of pixels, such as a classical filter or a trained network. It may be
slow, so every target is computed once and cached.
"""

from __future__ import annotations

import hashlib
import pathlib
import threading

import numpy as np

from bilateral_jax import images
from bilateral_jax.data.sources import views
from bilateral_jax.data.synthetic import demo_photos, dulled


class OperatorTargets(views.View):
    """Pairs of photos and the operator's results on the whole photos.

    Args:
      photos: source of `{"image", "name"}` or `{"input", "name"}` (a target there is ignored),
        uint8 or uint16 `[h, w, 3]`.
      operator: `pixels -> pixels` of the same shape and dtype.
      label: identifies the operator and everything that its result depends on; part of the key of
        the cache.
      cache: folder that keeps the targets as PNG files for later runs; None keeps them in memory.
      keep_equal: an element of `photos` whose own target equals its input keeps that target: a
        photo that needs no change.
      keep_grey: the target of a photo without colours has none either, see
        `dulled.grey_of_luminance`: enhancers tint such photos.
      strength: weight of the operator's result in the target, in [0, 1]; the photo has the rest.

    Raises:
      ValueError: `strength` is not in [0, 1].
    """

    def __init__(
        self, photos, operator, *, label: str, cache=None, keep_equal: bool = False,
        keep_grey: bool = False, strength: float = 1.0,
    ):  # fmt: skip
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must be in [0, 1], got {strength!r}")
        super().__init__(photos)
        self._keep_equal, self._keep_grey, self._strength = keep_equal, keep_grey, strength
        self._operator, self._label = operator, label
        self._folder = None if cache is None else pathlib.Path(cache)
        self._kept, self._lock = {}, threading.Lock()

    def __getitem__(self, index: int) -> dict:
        """Returns one pair; its target is computed on first access.

        Args:
          index: position in [-len, len).

        Returns:
          `{"input", "target": uint8 or uint16 [h, w, 3], "name": str}`; not to be written into.

        Raises:
          TypeError: the photo is neither uint8 nor uint16.
          ValueError: the photo is not `[h, w, 3]`, such as a clip; the operator returned another
            shape or dtype.
        """
        return self._pair(self._source[index])

    def exact(self, index: int) -> dict:
        """Returns one pair without substitution, see `file_source.FileSource.exact`.

        Args:
          index: position in [-len, len).

        Returns:
          As `self[index]`.
        """
        return self._pair(self._exact(index))

    def _pair(self, element):
        pixels = views.photo_of(element)
        if pixels.dtype not in (np.uint8, np.uint16):
            raise TypeError(f"photo {element['name']} must be uint8 or uint16, got {pixels.dtype}")
        if pixels.ndim != 3:
            raise ValueError(
                f"photo {element['name']} must be [h, w, 3] for an operator, without frames, got "
                f"{pixels.shape}"
            )
        keep = self._keep_equal and np.array_equal(pixels, element.get("target"))
        target = pixels if keep else self._weakened(pixels, self._target(pixels))
        if self._keep_grey and not images.has_colors(pixels):
            target = dulled.grey_of_luminance(target)
        return {"input": pixels, "target": target, "name": element["name"]}

    def _weakened(self, pixels, target):
        """The weighted mean of a photo and the result of the operator, which alone is cached."""
        if self._strength == 1:
            return target
        image, result = images.to_float(pixels), images.to_float(target)
        mean = image + np.float32(self._strength) * (result - image)
        return images.to_integer(mean, images.bit_depth(pixels))

    def _target(self, pixels):
        key = hashlib.sha256(repr((self._label, pixels.shape, pixels.dtype.str)).encode())
        key.update(np.ascontiguousarray(pixels))
        # One at a time: threads that need the same target wait for it instead of computing it.
        with self._lock:
            if self._folder is None:
                if key.digest() not in self._kept:
                    self._kept[key.digest()] = self._compute(pixels)
                return self._kept[key.digest()]
            path = self._folder / f"{key.hexdigest()[:32]}.png"
            if not path.is_file():
                self._folder.mkdir(parents=True, exist_ok=True)
                images.write(path, self._compute(pixels))
            return images.read(path).pixels

    def _compute(self, pixels):
        target = np.asarray(self._operator(pixels))
        if target.shape != pixels.shape or target.dtype != pixels.dtype:
            raise ValueError(
                f"the operator {self._label} must keep shape and dtype, {pixels.dtype} "
                f"{pixels.shape}; it gave {target.dtype} {target.shape}"
            )
        return target

    def __getstate__(self):
        return self.__dict__ | {"_lock": None}

    def __setstate__(self, state):
        self.__dict__.update(state | {"_lock": threading.Lock()})


class DemoInputs:
    """The demo's photos and variants of them, without the demo's targets.

    Args:
      split: "train" or "heldout".
      variants: of every photo; the first is the photo, the others are cropped, exposed and tinted
        at random.
      seed: of the variants.

    Raises:
      ValueError: as `demo_photos.DemoPhotos`.
      ImportError: as `demo_photos.DemoPhotos`.
    """

    def __init__(self, split: str, *, variants: int = 1, seed: int = 0):
        self._elements = list(demo_photos.inputs(split, variants=variants, seed=seed))

    def __len__(self) -> int:
        return len(self._elements)

    def __getitem__(self, index: int) -> dict:
        """Returns `{"image": uint8 [h, w, 3], "name": str}`; not to be written into."""
        name, pixels = self._elements[index]
        return {"image": pixels, "name": name}

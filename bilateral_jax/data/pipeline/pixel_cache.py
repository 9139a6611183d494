"""A cache of decoded photos on disk, so that a crop costs the reading of a crop.

Decoding a photo of 12 megapixels takes a tenth of a second and its low-resolution copy another
thirtieth, for a crop that holds half a percent of its pixels. Here both are done once, on first
access; later the pixels are memory-mapped, and a crop reads its own rows only. The folder may be
shared by threads, worker processes and runs.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import threading

import numpy as np

from bilateral_jax import atomic, regular_files, resize
from bilateral_jax.data.sources import views

# Held while a file's header is read: NumPy parses it as Python, and before Python 3.11.8 and 3.12.2
# two threads that do so at once may fail with a SystemError (python/cpython#106905).
_HEADERS = threading.Lock()


class PixelCache(views.View):
    """The elements of a source, with their arrays memory-mapped from files.

    The folder grows to the size of all decoded photos: 3 bytes per pixel of 8-bit ones, 6 of 16-bit
    ones, for inputs and targets. It belongs to one source: the length of the source and the
    checksum of its first element are written into it, and another source is refused. Photos that
    are changed later are not noticed: delete the folder.

    Args:
      source: has a length and random access.
      folder: where the pixels are kept; created if absent.
      lowres: (size, method) of `resize.resize_pixels`, to keep a low-res input as `"lowres"`; None
        for none.

    Raises:
      ValueError: the folder holds the photos of another source, other copies or other files, or
        its name is empty.
    """

    def __init__(self, source, folder, *, lowres: tuple[int, str] | None = None):
        super().__init__(source)
        if not str(folder):
            raise ValueError("the folder for decoded photos (decoded_folder) must be named, got ''")
        self._folder, self._lowres = pathlib.Path(folder), lowres
        self._folder.mkdir(parents=True, exist_ok=True)
        self._check_owner()

    def __getitem__(self, index: int) -> dict:
        """Returns element `index` of the source, decoding it on first access.

        Returns:
          The element; its pixels (and `"lowres"`) are read-only arrays backed by files.
        """
        index = views.check_index(index, len(self), "elements")
        folder = self._folder / f"{index:07d}"
        if not folder.is_dir():
            self._decode(index, folder)
        element = atomic.read_json(folder / "rest.json")
        for path in folder.glob("*.npy"):
            regular_files.check(path)
            with _HEADERS:
                element[path.stem] = np.load(path, mmap_mode="r")
        return element

    def _decode(self, index, folder):
        """Writes an element to a temporary folder and renames it, so it is seen whole or not."""
        element = self._source[index]
        arrays = {key: value for key, value in element.items() if isinstance(value, np.ndarray)}
        if self._lowres is not None:
            size, method = self._lowres
            arrays["lowres"] = resize.resize_pixels(element["input"], size, method=method)
        with atomic.folder(folder, keep_existing=True) as made:
            for name, array in arrays.items():
                np.save(made / f"{name}.npy", array)
            rest = {key: value for key, value in element.items() if key not in arrays}
            (made / "rest.json").write_text(
                json.dumps(rest, default=np.generic.item), encoding="utf-8"
            )

    def _check_owner(self):
        """Writes which source the folder belongs to, or compares with what is written."""
        path = self._folder / "source.json"
        expected = {"length": len(self._source), "first": _checksum(self._source[0])}
        expected["lowres"] = None if self._lowres is None else list(self._lowres)
        if not path.exists():
            # Another process may write the same: hidden files are its scratch files.
            others = [entry for entry in self._folder.iterdir() if not entry.name.startswith(".")]
            if others and not path.exists():
                raise ValueError(
                    f"{self._folder} holds other files; decoded photos (decoded_folder) need an "
                    "empty folder"
                )
            atomic.write_json(path, expected)
        found = atomic.read_json(path)
        differing = [key for key in expected if found.get(key) != expected[key]]
        if differing:
            raise ValueError(
                f"{self._folder} keeps decoded photos of another source "
                f"({', '.join(differing)} differ); choose another folder or delete it"
            )


def _checksum(element):
    checksum = hashlib.blake2b(digest_size=16)
    for key in sorted(element):
        value = element[key]
        described = (key, value.shape, str(value.dtype)) if isinstance(value, np.ndarray) else value
        checksum.update(repr(described).encode())
        if isinstance(value, np.ndarray):
            checksum.update(np.ascontiguousarray(value))
    return checksum.hexdigest()

"""Decoded photos kept on disk, so that a crop costs the reading of a crop.

Decoding a photo of 12 megapixels takes a tenth of a second and its low-resolution copy another
thirtieth, for a crop that holds half a percent of its pixels. Here both are done once, by whoever
asks first; later the pixels are mapped into memory, and a crop touches its own rows only. The
folder may be shared by threads, worker processes and runs, and outlives them.

Receives elements from a source.
Hands elements with mapped pixels to `data/pipeline/batches.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import tempfile

import numpy as np

from bilateral_jax import resize
from bilateral_jax.data.sources import index_checks


class Decoded:
    """The elements of a source, with their pixels mapped from files.

    The folder grows to the size of all decoded photos: 3 bytes per pixel of 8-bit ones, twice as
    many of 16-bit ones, for inputs and targets. It belongs to one source: the length of the source
    and the digest of its first element are written into it, and another source is refused. Photos
    that are changed later are not noticed: delete the folder.

    Args:
      source: has a length and random access.
      folder: where the pixels are kept; created if absent.
      lowres: (size, method) of `resize.resize_pixels` to keep a copy of each input as `"lowres"`;
        None for none.

    Raises:
      ValueError: the folder holds the photos of another source, or copies of another kind.
    """

    def __init__(self, source, folder, *, lowres: tuple[int, str] | None = None):
        self._source, self._folder, self._lowres = source, pathlib.Path(folder), lowres
        self._folder.mkdir(parents=True, exist_ok=True)
        self._claim()

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> dict:
        """Gives element `index` of the source, decoding it if nobody has.

        Returns:
          The element; its pixels (and `"lowres"`) are read-only arrays backed by files.
        """
        index = index_checks.position(index, len(self), "elements")
        folder = self._folder / f"{index:07d}"
        if not folder.is_dir():
            self._decode(index, folder)
        element = json.loads((folder / "rest.json").read_text(encoding="utf-8"))
        for path in folder.glob("*.npy"):
            element[path.stem] = np.load(path, mmap_mode="r")
        return element

    def _decode(self, index, folder):
        """Writes an element under another name first: whoever sees the folder sees all of it."""
        element = self._source[index]
        arrays = {key: value for key, value in element.items() if isinstance(value, np.ndarray)}
        if self._lowres is not None:
            size, method = self._lowres
            arrays["lowres"] = resize.resize_pixels(element["input"], size, method=method)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".partial-") as partial:
            made = pathlib.Path(partial) / folder.name
            made.mkdir()
            for name, array in arrays.items():
                np.save(made / f"{name}.npy", array)
            rest = {key: value for key, value in element.items() if key not in arrays}
            (made / "rest.json").write_text(
                json.dumps(rest, default=np.generic.item), encoding="utf-8"
            )
            try:
                os.rename(made, folder)
            except OSError:
                if not folder.is_dir():  # else somebody else was first, with the same pixels
                    raise

    def _claim(self):
        """Writes down whose folder this is, or compares."""
        path = self._folder / "source.json"
        mine = {"length": len(self._source), "first": _digest(self._source[0])}
        mine["lowres"] = None if self._lowres is None else list(self._lowres)
        if not path.exists():
            partial = path.with_suffix(f".{os.getpid()}")
            partial.write_text(json.dumps(mine) + "\n", encoding="utf-8")
            os.replace(partial, path)
        theirs = json.loads(path.read_text(encoding="utf-8"))
        differing = [key for key in mine if theirs.get(key) != mine[key]]
        if differing:
            raise ValueError(
                f"{self._folder} keeps decoded photos of another source "
                f"({', '.join(differing)} differ); choose another folder or delete it"
            )


def _digest(element):
    digest = hashlib.blake2b(digest_size=16)
    for key in sorted(element):
        value = element[key]
        told = (key, value.shape, str(value.dtype)) if isinstance(value, np.ndarray) else value
        digest.update(repr(told).encode())
        if isinstance(value, np.ndarray):
            digest.update(np.ascontiguousarray(value))
    return digest.hexdigest()

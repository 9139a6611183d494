"""Pictures with numbers beside them, such as votes or scores.

Receives records from `data/sources/ava.py` and `data/sources/tid2013.py`.
Hands elements to `data/pipeline/batches.py`.
"""

from __future__ import annotations

import hashlib
import pathlib
from typing import NamedTuple

from bilateral_jax.data.sources import file_source, readers


class Label(NamedTuple):
    """One file, its name, and a dictionary of NumPy arrays that belong to it."""

    name: str
    path: pathlib.Path
    numbers: dict


class Labelled(file_source.Checked):
    """Pictures with labels: `source[i]` is `{"image": uint8 [h, w, 3], "name": str, **numbers}`.

    Args:
      labels: list of `Label`.
      **checks: `lost`, `verify`, `on_bad`, `threads` of `checked.Checked`.

    Raises:
      ValueError: as `checked.Checked`.
    """

    _rendition = readers.AsStored(8)

    def __init__(self, labels, **checks):
        super().__init__(labels, **checks)

    def _name(self, record):
        return record.name

    def _inspect(self, record):
        self._rendition.size(record.path)

    def _read(self, record):
        pixels = self._rendition.read(record.path)
        return {"image": pixels, "name": record.name, **record.numbers}

    def _encode(self, record):
        content, _ = self._rendition.encoded(record.path)
        return {"image": content, "name": record.name, **record.numbers}


def chance(key: str) -> float:
    """Draws a number for a name, the same on every machine and whatever else is in the set.

    Args:
      key: the name, with a seed in it.

    Returns:
      A number in [0, 1).
    """
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "big") / 256**7

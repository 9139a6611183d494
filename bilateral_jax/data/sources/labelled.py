"""Sources of labelled images: each with numbers such as votes or scores."""

from __future__ import annotations

import hashlib
import pathlib
from typing import NamedTuple

from bilateral_jax.data.sources import file_source, readers


class LabelledFile(NamedTuple):
    """An image file, its name, and a dictionary of NumPy arrays that label it."""

    name: str
    path: pathlib.Path
    numbers: dict


class LabelledImages(file_source.ImageRecords):
    """Images with labels: `source[i]` is `{"image": uint8 [h, w, 3], "name": str, **numbers}`.

    Args:
      labels: list of `LabelledFile`.
      **checks: `lost`, `verify`, `on_bad`, `threads` of `file_source.FileSource`.

    Raises:
      ValueError: as `file_source.FileSource`.
    """

    def __init__(self, labels, **checks):
        super().__init__(labels, readers.AsStored(8), **checks)

    def _read(self, record):
        return super()._read(record) | record.numbers

    def _encode(self, record):
        return super()._encode(record) | record.numbers


def uniform_hash(key: str) -> float:
    """Hashes a name to a uniform number, the same on every machine.

    A split by this number does not depend on which other names there are.

    Args:
      key: the name, with a seed in it.

    Returns:
      A number in [0, 1).
    """
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "big") / 256**7

"""Views of a source: a subset, with record numbers, or cached in memory; and the index check.

A source has a length and random access: `source[i]` is a dictionary of NumPy arrays and names, the
same for the same `i` at any time. Where it reads files it also has `skipped`, a list of (name,
reason) of what it left out, and `exact(i)`, which never substitutes another record for a bad one.
"""

from __future__ import annotations

import operator

import numpy as np


def check_index(index, count: int, of: str) -> int:
    """Checks an index; a negative one counts from the end.

    Args:
      index: integer in [-count, count); negative ones count from the end, as in a list.
      count: length of the source.
      of: what it holds, for the message: "pairs".

    Returns:
      The index in [0, count).

    Raises:
      IndexError: there is no such element.
      TypeError: `index` is no integer.
    """
    index = operator.index(index)
    if not -count <= index < count:
        raise IndexError(f"index {index} is outside a source of {count} {of}")
    return index % count


def is_paired(source) -> bool:
    """Whether the inputs and targets of a source show the same scene.

    Args:
      source: any source; one of unpaired images has a false attribute `paired`.
    """
    return getattr(source, "paired", True)


def identity(source) -> dict:
    """Describes which records a source has, to recognise it when a run is resumed.

    Args:
      source: any source; one may have a method `identity` of its own.

    Returns:
      JSON-able dict with "records", their number, and where they have names "names", a checksum of
      the names in order.
    """
    own = getattr(source, "identity", None)
    return {"records": len(source)} if own is None else own()


def smaller_than(source, height: int, width: int) -> list[str]:
    """Lists the elements of a source that are known to be too small for a crop.

    Args:
      source: any source; one that knows sizes without reading has a method of this name.
      height: of the crop.
      width: of the crop.

    Returns:
      Their names; empty where no size is known.
    """
    known = getattr(source, "smaller_than", None)
    return [] if known is None else known(height, width)


def photo_of(element) -> np.ndarray:
    """Returns the photo of an element: its image, or of a pair its input.

    Args:
      element: `{"image": [h, w, 3]}` or `{"input": [h, w, 3]}`, and others.
    """
    return element["image"] if "image" in element else element["input"]


class View:
    """A source that wraps another one of the same length.

    Args:
      source: any source.
    """

    def __init__(self, source):
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    @property
    def skipped(self) -> list:
        """(name, reason) of what the wrapped source has left out."""
        return getattr(self._source, "skipped", [])

    @property
    def paired(self) -> bool:
        """Whether input and target show the same scene."""
        return is_paired(self._source)

    def identity(self) -> dict:
        """Describes the records, see `identity`: those of the wrapped source."""
        return identity(self._source) | {"records": len(self)}

    def _exact(self, index):
        """Returns an element of the wrapped source, without substitution where it has such."""
        return getattr(self._source, "exact", self._source.__getitem__)(index)


class Selected(View):
    """Some elements of a source, in a given order; `select` makes one.

    Args:
      source: any source.
      indices: sequence of indices of the source.
    """

    def __init__(self, source, indices):
        super().__init__(source)
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> dict:
        """Returns element `indices[index]` of the source."""
        return self._source[self._indices[index]]


class Subset(Selected):
    """Elements `start` to `stop` of a source, as in a Python slice.

    Args:
      source: any source.
      start: first element, or None.
      stop: the element after the last, or None.
    """

    def __init__(self, source, start: int | None, stop: int | None):
        super().__init__(source, range(len(source))[start:stop])


def select(source, indices):
    """Selects elements of a source.

    Args:
      source: any source; one of files takes no substitute for a bad record from elsewhere.
      indices: sequence of indices, each in [0, len).

    Returns:
      A source of these elements in this order.
    """
    own = getattr(source, "select", None)
    return Selected(source, indices) if own is None else own(indices)


class Numbered(View):
    """Adds to every element `record`, its index in the source (int32)."""

    def __getitem__(self, index: int) -> dict:
        """Returns an element with its `record`."""
        return self._source[index] | {"record": np.int32(index)}


class Waiting(View):
    """Reads elements inside a context, for example one in which a signal ends the waiting.

    Args:
      source: any source.
      context: `() -> context manager`, entered for each element.
    """

    def __init__(self, source, context):
        super().__init__(source)
        self._context = context

    def __getitem__(self, index: int) -> dict:
        """Returns an element of the source."""
        with self._context():
            return self._source[index]

    def exact(self, index: int) -> dict:
        """Returns an element without substitution, see `file_source.FileSource.exact`."""
        with self._context():
            return self._exact(index)


class Cached(View):
    """Keeps elements in memory, up to a budget; the others are read again each time.

    Args:
      source: any source.
      max_bytes: size of the arrays to keep; the first elements asked for are kept.
      exact: read without substitution, see `file_source.FileSource.exact`: a mean over held-out
        photos would count the substitute twice.
    """

    def __init__(self, source, *, max_bytes: int = 2 << 30, exact: bool = False):
        super().__init__(source)
        self._left, self._kept, self._is_exact = max_bytes, {}, exact

    def smaller_than(self, height: int, width: int) -> list[str]:
        """Lists the elements that are too small, see `smaller_than`: their sizes stay."""
        return smaller_than(self._source, height, width)

    def __getitem__(self, index: int) -> dict:
        """Returns element `index` of the source; the caller must not write into it."""
        if index in self._kept:
            return self._kept[index]
        element = self._exact(index) if self._is_exact else self._source[index]
        size = sum(getattr(value, "nbytes", 0) for value in element.values())
        if size <= self._left:
            self._left -= size
            self._kept[index] = element
        return element

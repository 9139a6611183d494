"""Pairs of picture files: what went in, and what should come out.

A source has a length and random access; `source[i]` is `{"input": pixels [h, w, 3], "target":
pixels [h, w, 3], "name": str}`, where pixels are uint8, uint16 or float32 in [0, 1].

Receives folders or file lists from the user; pixels from `data/sources/readers.py`.
Hands elements to `data/pipeline/batches.py`.
"""

from __future__ import annotations

import os
import pathlib
from typing import NamedTuple

from bilateral_jax.data.sources import file_source, image_files, readers


class Pair(NamedTuple):
    """Two files and the name of their record."""

    name: str
    input: pathlib.Path
    target: pathlib.Path


class FilePairs(file_source.Checked):
    """Pairs of files, each member read in its own way.

    Args:
      pairs: list of `Pair`.
      input: how the inputs are read, see `data/sources/readers.py`.
      target: how the targets are read.
      **checks: `lost`, `verify`, `on_bad`, `threads` of `checked.Checked`.

    Raises:
      ValueError: as `checked.Checked`.
    """

    def __init__(self, pairs, *, input=None, target=None, **checks):
        self._renditions = (input or readers.AsStored(), target or readers.AsStored())
        super().__init__(pairs, **checks)

    def _name(self, record):
        return record.name

    def _inspect(self, record):
        sizes = [how.size(path) for how, path in zip(self._renditions, record[1:])]
        if None not in sizes:
            _check_equal(record, *sizes)

    def _read(self, record):
        given, wanted = (how.read(path) for how, path in zip(self._renditions, record[1:]))
        _check_equal(record, given.shape[:2], wanted.shape[:2])
        return {"input": given, "target": wanted, "name": record.name}

    def _encode(self, record):
        (given, size), (wanted, other) = (
            how.encoded(path) for how, path in zip(self._renditions, record[1:])
        )
        _check_equal(record, size, other)
        return {"input": given, "target": wanted, "name": record.name}


class PairedFolder(FilePairs):
    """Pairs of pictures on disk, matched by file name.

    `PairedFolder(root)` takes `root/input/NAME` and `root/target/NAME`, sorted by name; the two may
    differ in suffix and in bit depth (each is scaled by its own maximum later). Other files are
    passed over. `from_lists` takes two lists of files instead.

    Args:
      root: the folder that holds both folders.
      inputs: name of the folder of inputs.
      targets: name of the folder of targets (the original HDRNet calls it "output").
      follow_links: accept links that lead out of `root`.
      input_bits: 8 or 16 where nothing else is to be accepted.
      target_bits: the same for the targets.
      **checks: `verify`, `on_bad`, `threads` of `checked.Checked`.

    Raises:
      ValueError: a folder is missing or empty, a name occurs twice, a link leads out of `root`; or
        as `checked.Checked`: a picture without partner counts as bad.
    """

    def __init__(
        self,
        root,
        *,
        inputs: str = "input",
        targets: str = "target",
        follow_links: bool = False,
        input_bits: int | None = None,
        target_bits: int | None = None,
        **checks,
    ):
        root = pathlib.Path(root)
        before, after = (
            image_files.pictures(root / name, root=root, follow_links=follow_links)
            for name in (inputs, targets)
        )
        found, lost = matched(before, after, root / inputs, root / targets)
        super().__init__(found, lost=lost, **_as_stored(input_bits, target_bits), **checks)

    @classmethod
    def from_lists(
        cls, inputs, targets, *, root=None, input_bits=None, target_bits=None, **checks
    ) -> FilePairs:
        """Pairs the i-th input with the i-th target.

        Args:
          inputs: sequence of files, or a text file with one per line.
          targets: the same for the targets.
          root: the folder that the lines of text files are relative to and must not leave; None
            for the folder of each text file.
          input_bits: as for the class.
          target_bits: as for the class.
          **checks: `verify`, `on_bad`, `threads` of `checked.Checked`.

        Returns:
          The source, in the order of the lists.

        Raises:
          ValueError: the lists are empty or differ in length, a line leads out of `root`, or as
            `checked.Checked`.
        """
        before, after = _listed(inputs, root), _listed(targets, root)
        if len(before) != len(after) or not before:
            raise ValueError(
                "inputs and targets must list the same number of files, at least one; "
                f"got {len(before)} and {len(after)}"
            )
        found, lost = [], []
        for given, wanted in zip(before, after):
            absent = [path for path in (given, wanted) if not path.is_file()]
            lost += [(given.name, f"listed file {path} does not exist") for path in absent[:1]]
            if not absent:
                found.append(Pair(given.name, given, wanted))
        return FilePairs(found, lost=lost, **_as_stored(input_bits, target_bits), **checks)


def matched(before: dict, after: dict, inputs, targets) -> tuple[list[Pair], list]:
    """Matches files by key.

    Args:
      before: key -> input file.
      after: key -> target file.
      inputs: what the place of the inputs is called in messages.
      targets: the same for the targets.

    Returns:
      (Pairs in the order of the keys, list of (name, reason) of files without a partner.)
    """
    lost = [
        (here[key].name, f"no partner in {place}")
        for here, there, place in ((before, after, targets), (after, before, inputs))
        for key in sorted(here.keys() - there.keys())
    ]
    both = sorted(before.keys() & after.keys())
    return [Pair(before[key].name, before[key], after[key]) for key in both], lost


class Cached:
    """Keeps the elements of a source in memory, up to a budget; past it, asks the source again.

    Args:
      source: any source.
      max_bytes: pixels to keep; the first elements asked for are the ones kept.
      exact: never take another record in place of a bad one, as a source told to skip those does:
        an average over held-out photos would count its neighbour twice.
    """

    def __init__(self, source, *, max_bytes: int = 2 << 30, exact: bool = False):
        self._source, self._left, self._kept = source, max_bytes, {}
        self._exact = exact and hasattr(source, "exact")

    @property
    def skipped(self) -> list:
        """What the source has left out, as (name, reason)."""
        return getattr(self._source, "skipped", [])

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> dict:
        """Gives element `index` of the source; the caller must not write into it."""
        if index in self._kept:
            return self._kept[index]
        element = self._source.exact(index) if self._exact else self._source[index]
        size = sum(getattr(value, "nbytes", 0) for value in element.values())
        if size <= self._left:
            self._left -= size
            self._kept[index] = element
        return element


def _check_equal(record, before, after):
    if tuple(before) != tuple(after):
        raise ValueError(
            f"the pictures of a pair must have one size: {record.input} is "
            f"{before[0]} x {before[1]}, {record.target} is {after[0]} x {after[1]} "
            "(height x width, upright)"
        )


def _as_stored(input_bits, target_bits):
    return {
        "input": readers.AsStored(input_bits),
        "target": readers.AsStored(target_bits),
    }


def _listed(names, root):
    if not isinstance(names, str | os.PathLike):
        return [pathlib.Path(path) for path in names]
    return image_files.listed(names, root=root)

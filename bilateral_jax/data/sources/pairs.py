"""Pairs of image files, input and target, from two folders or two lists.

`source[i]` is `{"input", "target": [h, w, 3], "name": str}` with uint8 or uint16 pixels.
"""

from __future__ import annotations

import os
import pathlib
from typing import NamedTuple

from bilateral_jax import regular_files
from bilateral_jax.data.sources import file_source, image_files, readers


class Pair(NamedTuple):
    """The files of a pair and its name."""

    name: str
    input: pathlib.Path
    target: pathlib.Path


class FilePairs(file_source.FileSource):
    """Pairs of files, each member read by its own reader.

    Args:
      pairs: list of `Pair`.
      input: reader of the inputs, see `data/sources/readers.py`; None for `AsStored`.
      target: reader of the targets.
      **checks: `lost`, `verify`, `on_bad`, `threads` of `file_source.FileSource`.

    Raises:
      ValueError: as `file_source.FileSource`.
    """

    def __init__(self, pairs, *, input=None, target=None, **checks):
        self._readers = (input or readers.AsStored(), target or readers.AsStored())
        super().__init__(pairs, **checks)

    def _name(self, record):
        return record.name

    def _inspect(self, record):
        sizes = [reader.size(path) for reader, path in zip(self._readers, record[1:])]
        if None not in sizes:
            _check_equal(record, *sizes)
        return sizes[0] or sizes[1]

    def _read(self, record):
        pair = [reader.read(path) for reader, path in zip(self._readers, record[1:])]
        _check_equal(record, *(pixels.shape[:2] for pixels in pair))
        return {"input": pair[0], "target": pair[1], "name": record.name}

    def _encode(self, record):
        pair, sizes = zip(
            *(reader.encoded(path) for reader, path in zip(self._readers, record[1:]))
        )
        _check_equal(record, *sizes)
        return {"input": pair[0], "target": pair[1], "name": record.name}


class PairedFolder(FilePairs):
    """Pairs of image files in two folders, matched by file name.

    `PairedFolder(root)` takes `root/input/NAME` and `root/target/NAME`, sorted by name; the two may
    differ in suffix and in bit depth (each is scaled by its own maximum later). Sub-folders and raw
    files are left out with a warning, other files without one. `from_lists` takes two lists of
    files instead.

    Args:
      root: the folder that holds both folders.
      inputs: name of the folder of inputs.
      targets: name of the folder of targets (the original HDRNet calls it "output").
      follow_links: accept links that lead out of `root`.
      input_bits: 8 or 16 to accept nothing else.
      target_bits: the same for the targets.
      **checks: `verify`, `on_bad`, `threads` of `file_source.FileSource`.

    Raises:
      ValueError: a folder is missing or empty, a name occurs twice, a link leads out of `root`; or
        as `file_source.FileSource`: an image without partner counts as bad.
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
        input_files, target_files = (
            image_files.images_in(root / name, root=root, follow_links=follow_links)
            for name in (inputs, targets)
        )
        for name in (inputs, targets):
            image_files.warn_left_out(root / name)
        found, lost = matched(input_files, target_files, root / inputs, root / targets)
        super().__init__(found, lost=lost, **_as_stored(input_bits, target_bits), **checks)

    @classmethod
    def from_lists(
        cls, inputs, targets, *, root=None, input_bits=None, target_bits=None, **checks
    ) -> FilePairs:
        """Pairs the i-th input with the i-th target.

        Args:
          inputs: sequence of files, or a text file with one per line.
          targets: the same for the targets.
          root: folder that the lines of text files are relative to and must not leave; None for the
            folder of each text file.
          input_bits: as for the class.
          target_bits: as for the class.
          **checks: `verify`, `on_bad`, `threads` of `file_source.FileSource`.

        Returns:
          The source, in the order of the lists.

        Raises:
          ValueError: the lists are empty or differ in length, a line leads out of `root`, or as
            `file_source.FileSource`.
        """
        input_files, target_files = _files(inputs, root), _files(targets, root)
        if len(input_files) != len(target_files) or not input_files:
            raise ValueError(
                "inputs and targets must list the same number of files, at least one; "
                f"got {len(input_files)} and {len(target_files)}"
            )
        found, lost = [], []
        for pair in zip(input_files, target_files):
            name = pair[0].name
            faults = [f"listed file {p} {said}" for p in pair if (said := regular_files.fault(p))]
            lost += [(name, reason) for reason in faults[:1]]
            if not faults:
                found.append(Pair(name, *pair))
        return FilePairs(found, lost=lost, **_as_stored(input_bits, target_bits), **checks)


def matched(input_files: dict, target_files: dict, inputs, targets) -> tuple[list[Pair], list]:
    """Matches files by key.

    Args:
      input_files: key -> input file.
      target_files: key -> target file.
      inputs: name of the inputs' folder, for messages.
      targets: name of the targets' folder, for messages.

    Returns:
      (Pairs in the order of the keys, list of (name, reason) of files without a partner.)
    """
    lost = [
        (files[key].name, f"no partner in {folder}")
        for files, partners, folder in (
            (input_files, target_files, targets),
            (target_files, input_files, inputs),
        )
        for key in sorted(files.keys() - partners.keys())
    ]
    both = sorted(input_files.keys() & target_files.keys())
    return [Pair(input_files[key].name, input_files[key], target_files[key]) for key in both], lost


def _check_equal(record, size, target_size):
    if tuple(size) != tuple(target_size):
        raise ValueError(
            f"the images of a pair must have one size: {record.input} is "
            f"{size[0]} x {size[1]}, {record.target} is {target_size[0]} x {target_size[1]} "
            "(height x width, upright)"
        )


def _as_stored(input_bits, target_bits):
    return {
        "input": readers.AsStored(input_bits),
        "target": readers.AsStored(target_bits),
    }


def _files(names, root):
    if not isinstance(names, str | os.PathLike):
        return [pathlib.Path(path) for path in names]
    return image_files.read_list(names, root=root)

"""Pairs of picture files: what went in, and what should come out.

A source has a length and random access; `source[i]` is `{"input": pixels [h, w, 3], "target":
pixels [h, w, 3], "name": str}`, where pixels are uint8, uint16 or float32 in [0, 1].

Receives folders or file lists from the user; pixels from `images`.
Hands elements to `data/batches.py`.
"""

from __future__ import annotations

import collections
import os
import pathlib

from bilateral_jax import images


class PairedFolder:
    """Pairs of pictures on disk, matched by file name.

    `PairedFolder(root)` takes `root/input/NAME` and `root/target/NAME`, sorted by name; the two may
    differ in suffix and in bit depth (each is scaled by its own maximum later). Other files are
    passed over. `from_lists` takes two lists of files instead.

    Args:
      root: the folder that holds both folders.
      inputs: name of the folder of inputs.
      targets: name of the folder of targets (the original HDRNet calls it "output").

    Raises:
      ValueError: a folder is missing or empty, a picture has no partner, or a name occurs twice.
    """

    def __init__(self, root, *, inputs: str = "input", targets: str = "target"):
        root = pathlib.Path(root)
        before, after = _pictures(root / inputs), _pictures(root / targets)
        for here, there, folder in ((before, after, targets), (after, before, inputs)):
            lost = [here[stem].name for stem in sorted(here) if stem not in there]
            if lost:
                named = ", ".join(lost[:5]) + (
                    f" and {len(lost) - 5} more" if len(lost) > 5 else ""
                )
                raise ValueError(f"no partner in {root / folder} for {named}")
        self._pairs = [(before[stem], after[stem]) for stem in sorted(before)]

    @classmethod
    def from_lists(cls, inputs, targets) -> PairedFolder:
        """Pairs the i-th input with the i-th target.

        Args:
          inputs: sequence of files, or a text file with one per line (relative to that file's
            folder).
          targets: the same for the targets.

        Returns:
          The source, in the order of the lists.

        Raises:
          ValueError: the lists are empty or differ in length, or a file does not exist.
        """
        before, after = _listed(inputs), _listed(targets)
        if len(before) != len(after) or not before:
            raise ValueError(
                "inputs and targets must list the same number of files, at least one; "
                f"got {len(before)} and {len(after)}"
            )
        for path in (*before, *after):
            if not path.is_file():
                raise ValueError(f"listed file {path} does not exist")
        source = cls.__new__(cls)
        source._pairs = list(zip(before, after))
        return source

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> dict:
        """Reads one pair.

        Args:
          index: position in [-len, len).

        Returns:
          `{"input", "target": uint8 or uint16 [h, w, 3], "name": the input's file name}`.

        Raises:
          ValueError: a file cannot be read, or the two differ in size.
        """
        before, after = self._pairs[index]
        given, wanted = images.read(before).pixels, images.read(after).pixels
        if given.shape != wanted.shape:
            raise ValueError(
                f"the pictures of a pair must have one size: {before} is {_size(given)}, "
                f"{after} is {_size(wanted)} (height x width, upright)"
            )
        return {"input": given, "target": wanted, "name": before.name}


class Cached:
    """Keeps the elements of a source in memory, up to a budget; past it, asks the source again.

    Args:
      source: any source.
      max_bytes: pixels to keep; the first elements asked for are the ones kept.
    """

    def __init__(self, source, *, max_bytes: int = 2 << 30):
        self._source, self._left, self._kept = source, max_bytes, {}

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> dict:
        """Gives element `index` of the source; the caller must not write into it."""
        if index in self._kept:
            return self._kept[index]
        element = self._source[index]
        size = element["input"].nbytes + element["target"].nbytes
        if size <= self._left:
            self._left -= size
            self._kept[index] = element
        return element


def _size(pixels):
    return f"{pixels.shape[0]} x {pixels.shape[1]}"


def _pictures(folder):
    """Maps the stems of the pictures in a folder to their files."""
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    found = collections.defaultdict(list)
    for path in folder.iterdir():
        if path.suffix.lower() in images.SUFFIXES and not path.name.startswith("."):
            found[path.stem].append(path)
    if not found:
        raise ValueError(f"{folder} holds no pictures ({', '.join(images.SUFFIXES)})")
    for paths in found.values():
        if len(paths) > 1:
            names = ", ".join(sorted(path.name for path in paths))
            raise ValueError(f"{folder} holds the same name twice: {names}")
    return {stem: paths[0] for stem, paths in found.items()}


def _listed(files):
    if not isinstance(files, str | os.PathLike):
        return [pathlib.Path(path) for path in files]
    files = pathlib.Path(files)
    lines = files.read_text(encoding="utf-8").splitlines()
    return [files.parent / line.strip() for line in lines if line.strip()]

"""Published training and test splits of MIT-Adobe FiveK.

A photo's id is an integer in 1..5000: the digits after the "a" of its name. Where a split is a
published list, the list comes from the user (or lies beside the photos) and is validated by its
count and checksum; where it is a rule, the rule is here.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import re
from typing import NamedTuple

from bilateral_jax import regular_files
from bilateral_jax.data.sources import image_files

COUNT = 5000


class Listed(NamedTuple):
    """A published list: its file, number of ids, and their SHA-256 (see `checksum`)."""

    file: str
    count: int
    sha256: str | None = None


_LISTS = {
    "dpe": {
        "train_input": Listed(
            "train_input.txt",
            2250,
            "1f80fc4fae8e1b1dc44c49cc63d69207376ed78fa20bf8591d8b0207d1363e02",
        ),
        "train_target": Listed(
            "train_label.txt",
            2250,
            "ec0d7eed1a36899623b0e65932aa77610546b8f14b4feab456693ac049db1ca6",
        ),
        "test": Listed(
            "test.txt",
            498,
            "110d49de31df9826cc8f61e8a9e17fcd65556bd78cc772e7003ed6f8b211b6ba",
        ),
    },
    "exposure": {
        "train_input": Listed(
            "FiveK_train_first2k.txt",
            2000,
            "6bc199e88da6f935ec9013d976852e50f67948168806378260fab63c14ada6b5",
        ),
        "train_target": Listed(
            "FiveK_train_second2k.txt",
            2000,
            "eb4fd1e4c7ed47f24464d72db51a9736c3127fadee4480f304d82dd5134cf695",
        ),
        "test": Listed(
            "FiveK_test.txt",
            1000,
            "2b75d48b205eedd824d31ce82139bfbcf322e1e4b31482ed277e10e62b767d41",
        ),
        "test_amt": Listed(
            "FiveK_test_AMT.txt",
            100,
            "2e44e7eb871382cc2b945c1146e96c0f639e2d2a562b595711e8dceef4e380bc",
        ),
    },
    "yuukicammy": {
        "train": Listed("training.json", 3500),
        "validation": Listed("validation.json", 500),
        "test": Listed("testing.json", 1000),
    },
    "distort_and_recover": {"test": Listed("random250.txt", 250)},
}

# Splits by rule: part -> range of positions in the order of ids, shuffled for `_SHUFFLED`.
_RULES = {
    "all": {"all": (0, 5000)},
    "upe": {"train": (0, 4500), "test": (4500, 5000)},
    "last500": {"train": (0, 4500), "test": (4500, 5000)},
    "can": {"train": (0, 2500), "test": (2500, 5000)},
    "hdrnet": {"train": (0, 4250), "validation": (4250, 4500), "test": (4500, 5000)},
}
_SHUFFLED = ("hdrnet",)

NAMES = (*_LISTS, *_RULES)


def parts(split: str) -> tuple[str, ...]:
    """Returns the names of the parts of a split.

    Args:
      split: one of `NAMES`.

    Returns:
      Names for `ids`. Where a split has separate inputs and targets for unpaired training, "train"
      is both together.

    Raises:
      ValueError: unknown split.
    """
    if split in _RULES:
        return tuple(_RULES[split])
    if split not in _LISTS:
        raise ValueError(f"split must be one of {NAMES}, got {split!r}")
    made = () if "train" in _LISTS[split] else ("train",)
    return (*made, *_LISTS[split])


def ids(split: str, part: str, *, lists=None) -> list[int]:
    """Returns the ids of one part of a split.

    Args:
      split: one of `NAMES`.
      part: one of `parts(split)`.
      lists: folder with the published list files, for the splits that need them.

    Returns:
      Ids in 1..5000, sorted.

    Raises:
      ValueError: an unknown name; a list is missing or is not the published one.
    """
    if part not in parts(split):
        raise ValueError(f"part must be one of {parts(split)} for split {split!r}, got {part!r}")
    if split in _RULES:
        order = _shuffled(split) if split in _SHUFFLED else range(1, COUNT + 1)
        start, stop = _RULES[split][part]
        return sorted(order[start:stop])
    if part in _LISTS[split]:
        return _published(split, part, lists)
    if split == "distort_and_recover":
        return sorted(set(range(1, COUNT + 1)) - set(_published(split, "test", lists)))
    halves = (_published(split, half, lists) for half in ("train_input", "train_target"))
    return sorted(id_ for half in halves for id_ in half)


def read(file) -> list[int]:
    """Reads ids from a list file: one per line, or the keys of a JSON object.

    Args:
      file: text or JSON. A line may be an id (`17`), a name (`a0017`, `a0017-DSC_0101`) or a file
        name; lines that start with # are ignored.

    Returns:
      Ids in the order of the file.

    Raises:
      ValueError: the file is missing or malformed, a line is not an id, an id occurs twice.
    """
    file = pathlib.Path(file)
    if not file.is_file():
        raise ValueError(f"there is no list {file}")
    names = _keys(file) if file.suffix == ".json" else image_files.read_lines(file)
    found = [id_of(name) for name in names]
    bad = [name for name, id_ in zip(names, found) if id_ is None]
    if bad:
        raise ValueError(f"{file} names no photo of FiveK in {image_files.join_names(bad, most=3)}")
    if len(set(found)) < len(found):
        twice = sorted({id_ for id_ in found if found.count(id_) > 1})
        raise ValueError(
            f"{file} lists {image_files.join_names([str(i) for i in twice])} more than once"
        )
    return found


def id_of(name: str) -> int | None:
    """Parses the id in a photo's name.

    Args:
      name: `a0017-DSC_0101.dng`, `a0017`, `0017.jpg`, `17`.

    Returns:
      An id in 1..5000, or None where the name has none.
    """
    match = re.match(r"a?(\d{1,6})(?!\d)", name)
    id_ = int(match[1]) if match else 0
    return id_ if 1 <= id_ <= COUNT else None


def checksum(found) -> str:
    """Computes the checksum of a set of ids.

    Args:
      found: ids.

    Returns:
      SHA-256 (hexadecimal) of the sorted ids, in decimal, joined by newlines.
    """
    return hashlib.sha256("\n".join(str(id_) for id_ in sorted(found)).encode()).hexdigest()


def _published(split, part, lists):
    listed = _LISTS[split][part]
    if lists is None or not (pathlib.Path(lists) / listed.file).is_file():
        folder = "lists=FOLDER" if lists is None else f"{lists}"
        names = image_files.join_names([entry.file for entry in _LISTS[split].values()])
        raise ValueError(
            f"split {split!r} needs the published list {listed.file} in {folder} (its lists are "
            f"{names}); see docs/data.md"
        )
    found = read(pathlib.Path(lists) / listed.file)
    if len(found) != listed.count or listed.sha256 not in (None, checksum(found)):
        raise ValueError(
            f"{pathlib.Path(lists) / listed.file} is not the list of split {split!r}: it holds "
            f"{len(found)} ids, {listed.count} are expected, and the ids must be the published "
            "ones; ids=FILE takes any list"
        )
    return sorted(found)


def _keys(file):
    try:
        content = json.loads(regular_files.read_text(file))
    except ValueError as error:
        raise ValueError(f"{file} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file} must hold an object whose keys are names of photos")
    return list(content)


def _shuffled(split):
    """Shuffles all ids by their hash, the same on every machine and with every NumPy."""
    return sorted(
        range(1, COUNT + 1), key=lambda i: hashlib.sha256(f"{split} {i}".encode()).digest()
    )

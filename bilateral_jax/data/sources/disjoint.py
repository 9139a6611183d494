"""Parts of a set of photos without a photo in common: two halves, or training and held-out photos.

A network that is trained without pairs must not meet a photo as input and as target, and none of
the photos that it is measured by.
"""

from __future__ import annotations

import collections
import hashlib
import pathlib

import numpy as np

from bilateral_jax import regular_files
from bilateral_jax.data.sources import image_files

SPLITS = ("train", "heldout")


def halves(count: int, *, seed: int = 0) -> tuple[list[int], list[int]]:
    """Draws two halves of a set.

    Args:
      count: number of elements, at least 2.
      seed: of the drawing.

    Returns:
      Two ascending lists of indices that have none in common and together are all; of an odd number
      the second has one more.

    Raises:
      ValueError: fewer than two elements.
    """
    if count < 2:
        raise ValueError(f"two halves need at least 2 photos, got {count}")
    order = np.random.default_rng(seed).permutation(count).tolist()
    return sorted(order[: count // 2]), sorted(order[count // 2 :])


def split(names, part: str, heldout, *, seed: int = 0) -> list[int]:
    """Finds the photos of one part of a set: those for training, or those held out.

    Args:
      names: of all photos; they are compared without suffix.
      part: "train" or "heldout".
      heldout: names of the photos to hold out, in any order, or how many are drawn.
      seed: of the drawing.

    Returns:
      Ascending list of indices; those of the two parts have none in common and together are all.

    Raises:
      ValueError: an unknown part, a held-out photo that is not there, or an empty part.
    """
    if part not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}, got {part!r}")
    stems = [pathlib.PurePath(name).stem for name in names]
    if isinstance(heldout, int):
        if not 0 < heldout < len(stems):
            raise ValueError(
                f"heldout must leave photos for training: at least 1 and fewer than {len(stems)}, "
                f"got {heldout}"
            )
        chosen = set(np.random.default_rng(seed).permutation(len(stems))[:heldout].tolist())
    else:
        wanted = {pathlib.PurePath(name).stem for name in heldout}
        if absent := sorted(wanted - set(stems)):
            raise ValueError(
                f"heldout names photos that are not there: {image_files.join_names(absent)}"
            )
        chosen = {index for index, stem in enumerate(stems) if stem in wanted}
        if not 0 < len(chosen) < len(stems):
            raise ValueError(
                f"heldout must name some of the {len(stems)} photos and leave some for training, "
                f"got {len(chosen)}"
            )
    return [index for index in range(len(stems)) if (index in chosen) == (part == "heldout")]


def refuse_shared_files(folder, other) -> None:
    """Checks that two folders hold no image file in common, whatever its names there.

    Files of one size are compared by their content; all others are not read.

    Args:
      folder: one folder of images.
      other: the other.

    Raises:
      ValueError: there are such files; the message names some.
    """
    sides = [_by_size(each) for each in (folder, other)]
    shared = []
    for size in sorted(sides[0].keys() & sides[1].keys()):
        contents = {_checksum(path): path for path in sides[0][size]}
        pairs = ((contents.get(_checksum(path)), path) for path in sides[1][size])
        shared += [f"{first.name} = {second.name}" for first, second in pairs if first]
    if shared:
        raise ValueError(
            f"unpaired photos must differ: {len(shared)} are in {folder} and in {other}, "
            f"{image_files.join_names(shared)}"
        )


def refuse_copies(folder) -> None:
    """Checks that a folder holds no image file twice: a copy could fall into another part.

    Files of one size are compared by their content; all others are not read.

    Args:
      folder: of images.

    Raises:
      ValueError: there are such files; the message names some.
    """
    copies = []
    for paths in _by_size(folder).values():
        first = {}
        for path in paths if len(paths) > 1 else ():
            original = first.setdefault(_checksum(path), path)
            if original != path:
                copies.append(f"{original.name} = {path.name}")
    if copies:
        raise ValueError(
            f"the parts of a set of photos must differ, and {len(copies)} of {folder} are copies "
            f"of others: {image_files.join_names(copies)}"
        )


def _by_size(folder):
    """Regular, readable files of a folder by their size; others are no matter of this check."""
    found = collections.defaultdict(list)
    for path in image_files.images_in(folder, follow_links=True).values():
        if regular_files.fault(path) is None and path.stat().st_size:
            found[path.stat().st_size].append(path)
    return found


def _checksum(path):
    return hashlib.blake2b(regular_files.read_bytes(path), digest_size=16).digest()

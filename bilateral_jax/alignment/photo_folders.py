"""Which files belong together, and files that are written whole.

Receives folders and lists from `command.py`.
Hands pairs of files back to it.
"""

from __future__ import annotations

import dataclasses
import pathlib

from bilateral_jax import images


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two files that may show the same scene.

    Attributes:
      name: of the pair, unique in a run.
      phone: file.
      camera: file.
    """

    name: str
    phone: pathlib.Path
    camera: pathlib.Path


def by_name(phone_dir, camera_dir) -> tuple[list[Pair], list[pathlib.Path]]:
    """Pairs the files that have the same name before the suffix.

    Args:
      phone_dir: folder.
      camera_dir: folder.

    Returns:
      (Pairs by name, files without a partner.)

    Raises:
      ValueError: a folder is missing or holds no pictures or a name twice, or nothing pairs up.
    """
    ours, theirs = _stems(phone_dir), _stems(camera_dir)
    pairs = [Pair(stem, ours[stem], theirs[stem]) for stem in sorted(ours) if stem in theirs]
    if not pairs:
        raise ValueError(
            f"no photo in {phone_dir} ({len(ours)}) has the name of one in {camera_dir} "
            f"({len(theirs)}); --pairs takes a list"
        )
    lonely = [ours[stem] for stem in sorted(ours) if stem not in theirs]
    return pairs, lonely + [theirs[stem] for stem in sorted(theirs) if stem not in ours]


def by_list(path, phone_dir, camera_dir) -> list[Pair]:
    """Pairs the files that stand on one line.

    Args:
      path: text file: a phone's and a camera's file on each line, relative to the folders, with a
        tab between them, or spaces if neither name has any; empty lines and lines from "#" are
        passed over.
      phone_dir: folder.
      camera_dir: folder.

    Returns:
      Pairs by name. Whether their files exist shows when it is their turn.

    Raises:
      ValueError: a line is not two paths that stay inside the folders, a phone's photo occurs
        twice, or there are no lines.
    """
    pairs = {}
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        parts = line.split("\t") if "\t" in line else line.split()
        if len(parts) != 2:
            raise ValueError(f"{path}, line {number}: expected two files, got {len(parts)}")
        for part, folder in zip(parts, (phone_dir, camera_dir)):
            place = pathlib.PurePath(part)
            if place.is_absolute() or ".." in place.parts:
                raise ValueError(f"{path}, line {number}: {part} leaves {folder}")
        name = pathlib.PurePath(parts[0]).with_suffix("").as_posix().replace("/", "__")
        if name in pairs:
            raise ValueError(f"{path}, line {number}: {parts[0]} is paired twice")
        pairs[name] = Pair(name, phone_dir / parts[0], camera_dir / parts[1])
    if not pairs:
        raise ValueError(f"{path} lists no pairs")
    return [pairs[name] for name in sorted(pairs)]


def _stems(folder):
    """Maps the stems of the pictures in a folder to their files."""
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in images.SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            raise ValueError(
                f"{folder} holds the same name twice: {found[path.stem].name}, {path.name}"
            )
        found[path.stem] = path
    if not found:
        raise ValueError(f"{folder} holds no pictures ({', '.join(images.SUFFIXES)})")
    return found

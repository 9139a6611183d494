"""Pairs of photo files of a phone and a camera: by equal names, or from a list."""

from __future__ import annotations

import dataclasses
import pathlib

from bilateral_jax import images


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two photo files of the same scene.

    Attributes:
      name: of the pair, unique in a run.
      phone: path.
      camera: path.
    """

    name: str
    phone: pathlib.Path
    camera: pathlib.Path


def by_name(phone_dir, camera_dir) -> tuple[list[Pair], list[pathlib.Path]]:
    """Pairs files of equal name, without the suffix.

    Args:
      phone_dir: folder.
      camera_dir: folder.

    Returns:
      (Pairs sorted by name, unpaired files.)

    Raises:
      ValueError: a folder is missing, holds no photos or a name twice, or there are no pairs.
    """
    phones, cameras = _by_stem(phone_dir), _by_stem(camera_dir)
    pairs = [Pair(stem, phones[stem], cameras[stem]) for stem in sorted(phones) if stem in cameras]
    if not pairs:
        raise ValueError(
            f"no photo in {phone_dir} ({len(phones)}) has the name of one in {camera_dir} "
            f"({len(cameras)}); --pairs takes a list"
        )
    unpaired = [phones[stem] for stem in sorted(phones) if stem not in cameras]
    return pairs, unpaired + [cameras[stem] for stem in sorted(cameras) if stem not in phones]


def by_list(path, phone_dir, camera_dir) -> list[Pair]:
    """Reads pairs from a list.

    Args:
      path: text file: a phone's and a camera's file on each line, relative to the folders, with a
        tab between them, or spaces if neither name has any; empty lines and lines that begin with
        "#" are skipped.
      phone_dir: folder.
      camera_dir: folder.

    Returns:
      Pairs sorted by name. The files are not checked.

    Raises:
      ValueError: a line is not two paths that stay inside the folders, a phone's photo occurs
        twice, or there are no lines; or the file cannot be read.
    """
    pairs = {}
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}, the list of pairs, cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        parts = line.split("\t") if "\t" in line else line.split()
        if len(parts) != 2:
            raise ValueError(f"{path}, line {number}: expected two files, got {len(parts)}")
        for part, folder in zip(parts, (phone_dir, camera_dir)):
            relative = pathlib.PurePath(part)
            if relative.is_absolute() or ".." in relative.parts:
                raise ValueError(f"{path}, line {number}: {part} leaves {folder}")
        name = pathlib.PurePath(parts[0]).with_suffix("").as_posix().replace("/", "__")
        if name in pairs:
            raise ValueError(f"{path}, line {number}: {parts[0]} is paired twice")
        pairs[name] = Pair(name, phone_dir / parts[0], camera_dir / parts[1])
    if not pairs:
        raise ValueError(f"{path} lists no pairs")
    return [pairs[name] for name in sorted(pairs)]


def _by_stem(folder):
    """Maps the stems of the photos in a folder to their paths."""
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in images.READABLE_SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            raise ValueError(
                f"{folder} holds the same name twice: {found[path.stem].name}, {path.name}"
            )
        found[path.stem] = path
    if not found:
        raise ValueError(f"{folder} holds no photos ({', '.join(images.READABLE_SUFFIXES)})")
    return found

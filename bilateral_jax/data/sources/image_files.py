"""Which picture files a data set consists of; none from outside the folder that the user named.

Receives folders and lists of files from the sources.
Hands paths back to them.
"""

from __future__ import annotations

import collections
import os
import pathlib

from bilateral_jax import images


def contained(path, root) -> pathlib.Path:
    """Refuses a path that leads out of a folder, by `..`, by being absolute, or through a link.

    Args:
      path: as found in a list; relative to `root`, or absolute.
      root: the folder.

    Returns:
      The path, with links not yet followed.

    Raises:
      ValueError: it leads out of the folder.
    """
    root = pathlib.Path(root)
    full = root / path
    if not full.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"listed file {os.fspath(path)!r} leads out of the folder {root}")
    return full


def listed(file, *, root=None) -> list[pathlib.Path]:
    """Reads a text file with one path per line; empty lines and those starting with # are passed.

    Args:
      file: the text file.
      root: the folder that the paths are relative to, and must stay in; None for the list's own.

    Returns:
      The paths, in order.

    Raises:
      OSError: the list cannot be read.
      ValueError: a path leads out of the folder, or the file is not text.
    """
    file = pathlib.Path(file)
    root = file.parent if root is None else pathlib.Path(root)
    return [contained(line, root) for line in lines(file)]


def lines(file) -> list[str]:
    """Reads the lines of a text file, without empty ones and comments (#).

    Args:
      file: the text file, UTF-8.

    Returns:
      The lines, stripped.

    Raises:
      OSError: it cannot be read.
      ValueError: it is not text.
    """
    try:
        text = pathlib.Path(file).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not a text file ({error})") from error
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def pictures(folder, *, root=None, follow_links=False, suffixes=images.READABLE_SUFFIXES) -> dict:
    """Lists the pictures in one folder; hidden files and other kinds of files are passed over.

    Args:
      folder: the folder. It may itself be a link.
      root: links may also lead to places in here.
      follow_links: accept links that lead anywhere.
      suffixes: of pictures, in small letters.

    Returns:
      Stem (name without suffix) -> path, sorted by stem.

    Raises:
      ValueError: the folder does not exist or holds no pictures, a name occurs twice, or a link
        leads out of the folder.
    """
    found = collections.defaultdict(list)
    for path in entries(folder, root=root, follow_links=follow_links):
        if path.suffix.lower() in suffixes:
            found[path.stem].append(path)
    if not found:
        raise ValueError(f"{folder} holds no pictures ({', '.join(suffixes)})")
    for paths in found.values():
        if len(paths) > 1:
            names = ", ".join(sorted(path.name for path in paths))
            raise ValueError(f"{folder} holds the same name twice: {names}")
    return {stem: found[stem][0] for stem in sorted(found)}


def entries(folder, *, root=None, follow_links=False, folders=False) -> list[pathlib.Path]:
    """Lists the files, or the folders, in one folder, without hidden ones.

    Args:
      folder: the folder. It may itself be a link.
      root: links may also lead to places in here.
      follow_links: accept links that lead anywhere.
      folders: list the folders instead of the files.

    Returns:
      The paths, in no particular order.

    Raises:
      ValueError: the folder does not exist, or a link leads out of it.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    homes = [pathlib.Path(home).resolve() for home in (folder, root) if home is not None]
    found = []
    with os.scandir(folder) as scan:
        listing = list(scan)
    for entry in listing:
        if entry.name.startswith(".") or entry.is_dir() != folders:
            continue
        if entry.is_symlink() and not follow_links:
            leads = pathlib.Path(entry.path).resolve()
            if not any(leads.is_relative_to(home) for home in homes):
                raise ValueError(
                    f"the link {entry.path} leads out of its folder, to {leads}; "
                    "follow_links=True accepts that"
                )
        found.append(folder / entry.name)
    return found


def number(name: str) -> tuple:
    """Gives a key that sorts names by the last number in them, then by name.

    Args:
      name: a file's or folder's name.

    Returns:
      (Number or -1, name.)
    """
    digits = "".join(c if c.isdigit() else " " for c in name).split()
    return (int(digits[-1]) if digits else -1, name)


def named(names, *, most: int = 5) -> str:
    """Puts names into a sentence, not all of them if they are many.

    Args:
      names: a list of strings.
      most: how many to write out.

    Returns:
      "a, b, c and 4 more".
    """
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest

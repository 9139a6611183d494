"""Lists image files of folders and list files, refusing paths outside the data set's folder."""

from __future__ import annotations

import collections
import logging
import os
import pathlib

from bilateral_jax import images, regular_files

_LOG = logging.getLogger(__name__)


def check_inside(path, root) -> pathlib.Path:
    """Checks that a path stays inside a folder: no `..`, absolute path or link that leads out.

    Args:
      path: as found in a list; relative to `root`, or absolute.
      root: the folder.

    Returns:
      The joined path, links not resolved.

    Raises:
      ValueError: the path leads out of the folder.
    """
    root = pathlib.Path(root)
    full = root / path
    if not _resolved(full).is_relative_to(_resolved(root)):
        raise ValueError(f"listed file {os.fspath(path)!r} leads out of the folder {root}")
    return full


def read_list(file, *, root=None) -> list[pathlib.Path]:
    """Reads a text file with one path per line; empty lines and comments (#) are ignored.

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
    return [check_inside(line, root) for line in read_lines(file)]


def read_lines(file) -> list[str]:
    """Reads the lines of a text file, without empty ones and comments (#).

    Args:
      file: the text file, UTF-8.

    Returns:
      The lines, stripped.

    Raises:
      OSError: it cannot be read.
      ValueError: it is not a regular file, or not text.
    """
    try:
        text = regular_files.read_text(file, encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not a text file ({error})") from error
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def images_in(folder, *, root=None, follow_links=False, suffixes=images.READABLE_SUFFIXES) -> dict:
    """Lists the image files in one folder; hidden files and those of other suffixes are ignored.

    What has an image's suffix and is not a regular file (a FIFO, a device, a dangling link) is
    listed, too: the reader refuses it by name, so that it counts as a bad record.

    Args:
      folder: the folder. It may itself be a link.
      root: another folder that links may lead into.
      follow_links: accept links that lead anywhere.
      suffixes: of image files, in lower case.

    Returns:
      Stem (name without suffix) -> path, sorted by stem.

    Raises:
      ValueError: the folder does not exist or holds no images, a name occurs twice, or a link leads
        out of the folder.
    """
    found = collections.defaultdict(list)
    for path in entries(folder, root=root, follow_links=follow_links):
        if path.suffix.lower() in suffixes:
            found[path.stem].append(path)
    if not found:
        raise ValueError(f"{folder} holds no images ({', '.join(suffixes)})")
    for paths in found.values():
        if len(paths) > 1:
            names = ", ".join(sorted(path.name for path in paths))
            raise ValueError(f"{folder} holds the same name twice: {names}")
    return {stem: found[stem][0] for stem in sorted(found)}


def entries(folder, *, root=None, follow_links=False, folders=False) -> list[pathlib.Path]:
    """Lists the files (whatever is not a folder) or the folders in a folder, without hidden ones.

    Args:
      folder: the folder. It may itself be a link.
      root: another folder that links may lead into.
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
    allowed = [_resolved(path) for path in (folder, root) if path is not None]
    found = []
    with os.scandir(folder) as scan:
        listing = list(scan)
    for entry in listing:
        if entry.name.startswith(".") or _is_folder(entry) != folders:
            continue
        if entry.is_symlink() and not follow_links:
            target = _resolved(entry.path)
            if not any(target.is_relative_to(path) for path in allowed):
                raise ValueError(
                    f"the link {entry.path} leads out of its folder, to {target}; "
                    "follow_links=True accepts that"
                )
        found.append(folder / entry.name)
    return found


def warn_left_out(folder) -> None:
    """Logs a warning about photos in a folder that `images_in` leaves out: raw files, sub-folders.

    Args:
      folder: the folder.
    """
    hidden = [p for p in pathlib.Path(folder).iterdir() if not p.name.startswith(".")]
    folders = sorted(p.name for p in hidden if p.is_dir())
    raw = sorted(p.name for p in hidden if p.suffix.lower() in images.RAW_SUFFIXES)
    for what, names in (("sub-folders", folders), ("raw files", raw)):
        if names:
            _LOG.warning("%s: %s are not read: %s", folder, what, join_names(names))


def _is_folder(entry):
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _resolved(path):
    """Follows links as far as they lead; a link to itself is left as it is."""
    return pathlib.Path(os.path.realpath(path))


def number_key(name: str) -> tuple:
    """Returns a key that sorts names by the last number in them, then by name.

    Args:
      name: a file's or folder's name.

    Returns:
      (Number or -1, name.)
    """
    digits = "".join(c if c.isdigit() else " " for c in name).split()
    return (int(digits[-1]) if digits else -1, name)


def join_names(names, *, most: int = 5) -> str:
    """Joins names for a message, abbreviated if they are many.

    Args:
      names: a list of strings.
      most: how many to write out.

    Returns:
      "a, b, c and 4 more".
    """
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest

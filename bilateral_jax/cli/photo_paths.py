"""Photo files named one by one or as folders of them; what a folder holds besides is counted."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import pathlib
import re
import warnings

from bilateral_jax import images, regular_files
from bilateral_jax.cli import errors

_SUFFIXES = images.READABLE_SUFFIXES + images.RAW_SUFFIXES
_SUB_FOLDERS = "sub-folder"


@dataclasses.dataclass(frozen=True)
class PhotoFile:
    """A photo file.

    Attributes:
      path: where it is.
      relative: its path below the folder that was named; its name alone for a file that was named.
    """

    path: pathlib.Path
    relative: pathlib.PurePath


@dataclasses.dataclass
class Found:
    """The photos in files and folders, and what was left out.

    Attributes:
      photos: in the order of the sources; those of a folder sorted.
      unreadable: (path, error) of photos in a folder that cannot be opened: links to nothing or
        to themselves, sub-folders without permission.
      left_out: number of other entries of the folders, by kind: a suffix (".mov"), "sub-folder",
        "hidden file", "FIFO", ...
    """

    photos: list[PhotoFile] = dataclasses.field(default_factory=list)
    unreadable: list[tuple[pathlib.Path, Exception]] = dataclasses.field(default_factory=list)
    left_out: collections.Counter = dataclasses.field(default_factory=collections.Counter)


def find(sources, *, recursive: bool = False, exclude=()) -> Found:
    """Lists files, and the photos in folders.

    Args:
      sources: paths of files and folders.
      recursive: read sub-folders, too; links to folders are not followed.
      exclude: sub-folders that are passed over, such as the folder of the outputs.

    Returns:
      The photos, with what was left out.

    Raises:
      OSError: a source does not exist, is neither a file nor a folder, or cannot be listed.
      ValueError: a folder holds no photo; the message says what it holds.
    """
    found = Found()
    exclude = {pathlib.Path(path).resolve() for path in exclude}
    for source in map(pathlib.Path, sources):
        if source.is_dir():
            in_folder = _in_folder(source, recursive, exclude)
            if not in_folder.photos and not in_folder.unreadable:
                raise ValueError(_no_photos(source, in_folder))
            found.photos += in_folder.photos
            found.unreadable += in_folder.unreadable
            found.left_out += in_folder.left_out
        else:
            if regular_files.kind(source) == "absent":
                raise FileNotFoundError(f"no such file or folder: {source}")
            regular_files.check(source)
            found.photos.append(PhotoFile(source, pathlib.PurePath(source.name)))
    return found


def describe(left_out, *, recursive: bool = False) -> str:
    """Describes what was left out, e.g. "3 .mov, 1 sub-folder (--recursive reads them)".

    Args:
      left_out: number of entries by kind.
      recursive: whether sub-folders were read.

    Returns:
      The kinds with their numbers, the most frequent first.
    """
    parts = []
    for kind, count in sorted(left_out.items(), key=lambda item: (-item[1], item[0])):
        advice = " (--recursive reads them)" if kind == _SUB_FOLDERS and not recursive else ""
        parts.append(f"{count} {_plural(kind) if count > 1 else kind}{advice}")
    return ", ".join(parts)


class Notes:
    """Sentences about what reading or writing photos has left out, each with its photos."""

    def __init__(self):
        self._photos = collections.defaultdict(list)

    @contextlib.contextmanager
    def of(self, path):
        """Collects the sentences of one photo, warnings of the libraries among them.

        Args:
          path: the photo.

        Yields:
          A list to be extended. If the block raises, nothing is kept.
        """
        said = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            yield said
        said += [str(warning.message).removeprefix(f"{path}: ") for warning in caught]
        for note in dict.fromkeys(said):
            self._photos[note].append(path)

    def lines(self):
        """Yields a line for each sentence, with the first of its photos and how many more."""
        for note, photos in self._photos.items():
            more = f" and {len(photos) - 1} more" if len(photos) > 1 else ""
            yield f"note: {note}: {photos[0]}{more}"


def failure(path, error) -> str:
    """Describes why a photo failed, with its path once and on one line.

    Args:
      path: the photo.
      error: an exception or a text.

    Returns:
      The sentence.
    """
    reason = errors.sentence(error) if isinstance(error, Exception) else " ".join(error.split())
    if isinstance(error, OSError) and error.strerror and str(error.filename) == str(path):
        reason = error.strerror
    return reason if str(path) in reason else f"{path}: {reason}"


def _plural(kind):
    if kind.startswith("."):
        return kind
    noun = re.match(r".*?(?= without | to |$)", kind)[0]
    return f"{noun}s{kind[len(noun) :]}"


def _no_photos(folder, found):
    known = ", ".join(images.READABLE_SUFFIXES)
    what = f"; it holds {describe(found.left_out)}" if found.left_out else "; it is empty"
    return f"{folder} holds no photo ({known}, raw){what}"


def _in_folder(top, recursive, exclude):
    found = Found()
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            if folder == top:
                raise
            found.unreadable.append((folder, error))
            continue
        deeper = []
        for entry in entries:
            path = folder / entry.name
            kind = _kind(path, found)
            if kind == _SUB_FOLDERS and path.resolve() in exclude:
                continue
            if kind == _SUB_FOLDERS and recursive:
                deeper.append(path)
            elif kind == "photo":
                found.photos.append(PhotoFile(path, path.relative_to(top)))
            elif kind:
                found.left_out[kind] += 1
        folders += reversed(deeper)
    return found


def _kind(path, found):
    """Says what an entry of a folder is: "photo", another kind, or None where it is unreadable."""
    try:
        kind = regular_files.kind(path)
    except OSError as error:
        found.unreadable.append((path, error))
        return None
    if path.name.startswith("."):
        return "hidden file" if kind != "a folder" else "hidden folder"
    suffix = path.suffix.lower()
    if kind == "a folder":
        return "link to a folder" if path.is_symlink() else _SUB_FOLDERS
    if kind == "a regular file":
        return "photo" if suffix in _SUFFIXES else suffix or "file without suffix"
    if kind.startswith("a link") and suffix in _SUFFIXES:
        found.unreadable.append((path, ValueError(f"it is {kind}")))
        return None
    return "broken link" if kind.startswith("a link") else kind.removeprefix("a ")

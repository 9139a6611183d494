"""Files and folders written whole or not at all: under a scratch name first, then renamed.

Readers find the old content or the new, also after a crash. Scratch files are hidden, have short
names and are in the folder of the target, so that renaming never crosses file systems.
"""

import contextlib
import json
import os
import pathlib
import shutil
import uuid

from bilateral_jax import regular_files

_PREFIX = ".scratch-"


@contextlib.contextmanager
def file(path, *, sync=False):
    """Writes a file: the block writes a scratch file, which then takes its name.

    Args:
      path: the file; its folder must exist.
      sync: wait until file and name are on the disk, to survive a loss of power.

    Yields:
      The scratch path, where nothing exists yet. If the block raises, what it wrote is removed and
      the file stays as it was.

    Raises:
      OSError: the file cannot be written.
    """
    path = pathlib.Path(path)
    scratch = _scratch(path)
    try:
        yield scratch
        if sync:
            flush(scratch)
        os.replace(scratch, path)
        if sync:
            flush(path.parent)
    finally:
        scratch.unlink(missing_ok=True)


@contextlib.contextmanager
def folder(path, *, keep_existing=False):
    """Writes a folder: the block fills a scratch folder, which then takes its name.

    Args:
      path: the folder; its parent must exist. A folder replaced is absent for a moment.
      keep_existing: if the folder exists by the end of the block (another process was faster), it
        stays and the new one is removed.

    Yields:
      The scratch folder, empty. If the block raises, it is removed.

    Raises:
      OSError: the folder cannot be written.
    """
    path = pathlib.Path(path)
    scratch = _scratch(path)
    scratch.mkdir()
    try:
        yield scratch
        if not keep_existing:
            move_folder(scratch, path)
            return
        try:
            os.rename(scratch, path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def check_folder(path):
    """Checks that files can be written in a folder, and changes nothing: before long work.

    Args:
      path: the folder. Where it is absent, the closest of its parents that exists is checked.

    Raises:
      OSError: it is a file or lies in one, or cannot be written; the message names it.
    """
    path = pathlib.Path(path)
    try:
        existing = next(p for p in (path, *path.absolute().parents) if os.path.lexists(p))
        with open(_scratch(existing / "check"), "xb") as scratch:
            pass
        os.unlink(scratch.name)
    except OSError as error:
        raise type(error)(f"cannot write to the folder {path}: {error.strerror}") from None


def move_folder(source, target):
    """Renames a folder, replacing one of that name.

    Args:
      source: the folder.
      target: its new name, on the same file system.
    """
    source, target = pathlib.Path(source), pathlib.Path(target)
    replaced = _scratch(target)
    if target.exists():
        os.rename(target, replaced)
    os.rename(source, target)
    shutil.rmtree(replaced, ignore_errors=True)


def write_text(path, text):
    """Writes a text file in UTF-8.

    Args:
      path: the file.
      text: its new content.
    """
    with file(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def write_json(path, value, *, sync=False):
    """Writes a JSON file.

    Args:
      path: the file.
      value: what `json.dumps` takes.
      sync: see `file`.

    Raises:
      TypeError: JSON cannot hold the value.
      OSError: the file cannot be written.
    """
    text = json.dumps(value, indent=2) + "\n"
    with file(path, sync=sync) as scratch:
        scratch.write_text(text, encoding="utf-8")


def read_json(path):
    """Reads a JSON file that holds an object, as all do that are written here.

    Args:
      path: the file.

    Returns:
      The object, a dict.

    Raises:
      FileNotFoundError: it does not exist.
      ValueError: it is no regular file, not JSON, or no object; the message names it.
    """
    try:
        value = json.loads(regular_files.read_text(path))
        if not isinstance(value, dict):
            raise ValueError(f"expected an object, got {type(value).__name__}")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as JSON ({error}); remove it to go on") from None
    return value


def remove_scratch(directory):
    """Removes what killed processes left in a folder; nobody may be writing there meanwhile."""
    for path in pathlib.Path(directory).glob(f"{_PREFIX}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def flush(path):
    """Waits until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _scratch(path):
    return path.with_name(f"{_PREFIX}{uuid.uuid4().hex[:12]}")

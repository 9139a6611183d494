"""Regular files: opened without waiting, and told from pipes, devices, folders and broken links."""

from __future__ import annotations

import errno
import os
import stat

_KINDS = {
    stat.S_IFIFO: "a named pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFDIR: "a folder",
}


def kind(path) -> str:
    """Describes what a path leads to; links are followed, nothing is opened.

    Args:
      path: a path.

    Returns:
      "a regular file", "a folder", "a named pipe (FIFO)", "a socket", "a character device",
      "a block device", "a link that leads to itself", "a dangling link (to TARGET)" or "absent".

    Raises:
      OSError: the path cannot be examined, e.g. for lack of permission.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if os.path.islink(path):
            return f"a dangling link (to {os.readlink(path)})"
        return "absent"
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a link that leads to itself"
        raise
    if stat.S_ISREG(mode):
        return "a regular file"
    return _KINDS.get(stat.S_IFMT(mode), "a special file")


def open_binary(path):
    """Opens a regular file for reading bytes; a pipe or a device never blocks the caller.

    Args:
      path: the file; a link is followed.

    Returns:
      A buffered binary file, to be closed by the caller.

    Raises:
      FileNotFoundError: there is no such file, or a link is dangling.
      OSError: the file cannot be opened, or it is not a regular file; the message says what it is.
    """
    return open(path, "rb", opener=_open_regular)


def _open_regular(path, flags):
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK)
    except OSError as error:
        found = kind(path)
        if found in ("a regular file", "absent"):
            raise
        raise type(error)(f"{path} is {found}, not a regular file") from None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(f"{path} is {kind(path)}, not a regular file")


def check(path) -> None:
    """Checks that a path leads to a regular file.

    Args:
      path: the file; a link is followed.

    Raises:
      FileNotFoundError: there is no such file, or a link is dangling.
      OSError: it is a folder, pipe, device or link to itself; the message names it.
    """
    found = kind(path)
    if found == "absent":
        raise FileNotFoundError(f"no such file: {path}")
    if found != "a regular file":
        error = FileNotFoundError if found.startswith("a dangling") else OSError
        raise error(f"{path} is {found}, not a regular file")

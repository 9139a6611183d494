"""Opens regular files only: a FIFO, a device or a socket is refused by name, without waiting.

Opening a FIFO that nobody writes to blocks for ever, and some devices act when they are opened.
"""

import os
import pathlib
import stat

_REGULAR = "a regular file"
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}


def kind(path) -> str:
    """Determines the kind of file that a path leads to; opens nothing.

    Args:
      path: the path; links are followed.

    Returns:
      "a regular file", "a folder", "a FIFO", "a socket", "a link to TARGET, which does not exist",
      "a link to TARGET, which cannot be followed (REASON)", "absent", or such.

    Raises:
      OSError: the path cannot be looked at, e.g. for lack of permission.
    """
    path = pathlib.Path(path)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if not path.is_symlink():
            if isinstance(error, FileNotFoundError):
                return "absent"
            raise
        target = os.readlink(path)
        if isinstance(error, FileNotFoundError):
            return f"a link to {target}, which does not exist"
        return f"a link to {target}, which cannot be followed ({error.strerror})"
    return _kind(mode)


def fault(path) -> str | None:
    """Describes why a path cannot be read as a regular file; opens nothing.

    Args:
      path: the file; links are followed.

    Returns:
      "is a FIFO, not a regular file", "is a link to TARGET, which does not exist", "does not
      exist", or such; None for a regular file.
    """
    try:
        found = kind(path)
    except OSError as error:
        return error.strerror
    if found in ("absent", _REGULAR):
        return "does not exist" if found == "absent" else None
    return f"is {found}" if found.startswith("a link") else f"is {found}, not a regular file"


def check(path):
    """Checks that a path can be read as a regular file; opens nothing.

    Args:
      path: the file; links are followed.

    Raises:
      OSError: it does not exist or cannot be looked at.
      ValueError: it is not a regular file, or a link that leads nowhere; the message names it.
    """
    if pathlib.Path(path).is_symlink() and (reason := fault(path)):
        raise ValueError(f"{path} {reason}")
    _refuse(path, os.stat(path).st_mode)


def open_binary(path):
    """Opens a regular file for reading, without blocking.

    Args:
      path: the file; links are followed.

    Returns:
      A binary file object.

    Raises:
      OSError: it does not exist or cannot be opened.
      ValueError: as `check`.
    """
    check(path)
    # Opened by its name, which some readers ask the file for.
    return open(path, "rb", opener=lambda name, flags: _open_regular(path, name, flags))


def _open_regular(path, name, flags):
    descriptor = os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
    try:
        _refuse(path, os.fstat(descriptor).st_mode)  # it may have been replaced since
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_bytes(path, *, most: int | None = None) -> bytes:
    """Reads a regular file.

    Args:
      path: the file.
      most: bytes; a larger file is refused unread. None for no limit.

    Returns:
      Its content.

    Raises:
      OSError: as `open_binary`.
      ValueError: as `open_binary`, or the file is larger.
    """
    with open_binary(path) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise ValueError(f"{path} has {size} bytes, expected at most {most}")
        return file.read()


def read_text(path, *, encoding: str = "utf-8", most: int | None = None) -> str:
    """Reads a regular text file.

    Args:
      path: the file.
      encoding: of the text.
      most: as for `read_bytes`.

    Returns:
      Its text.

    Raises:
      OSError: as `open_binary`.
      ValueError: as `read_bytes`; UnicodeDecodeError where it is not text.
    """
    text = read_bytes(path, most=most).decode(encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _refuse(path, mode):
    if (found := _kind(mode)) != _REGULAR:
        raise ValueError(f"{path} is {found}, not a regular file")


def _kind(mode):
    return _REGULAR if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "a special file")

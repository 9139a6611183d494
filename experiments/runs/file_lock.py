"""Exclusive lock of a file (`flock`), released when its process ends in any way."""

import fcntl
import time

_POLL = 0.2


def acquire(file, *, timeout=0.0):
    """Locks an open file exclusively; closing the file releases it.

    Args:
      file: an open file; a process that inherits it holds the lock too.
      timeout: seconds to wait for another holder to release it.

    Raises:
      BlockingIOError: another process still holds the lock.
      OSError: the file system does not support locks.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_POLL)

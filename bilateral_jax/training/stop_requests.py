"""Stop requests: SIGINT and SIGTERM end a training between two steps, not in the middle of one.

While the training waits for data (a slow disk, a source that hangs) they end the waiting at once.
"""

import contextlib
import os
import signal
import sys
import threading


class Stopped(Exception):  # noqa: N818 - not an error
    """Raised by work that a stop request cut short; the message names the signal."""


class StopRequest:
    """Whether a signal asked the training to stop, and which.

    Attributes:
      number: number of the first signal received, or None.
    """

    number: int | None = None
    _waiting = False

    def check(self):
        """Raises `Stopped` if a signal was received: for long work that may be cut short."""
        if self.number is not None:
            raise Stopped(signal.Signals(self.number).name)

    @contextlib.contextmanager
    def interrupts(self):
        """Makes a signal raise `Stopped` inside the context at once, as Ctrl-C does elsewhere.

        For waiting, and for reading that may be repeated. Signals act in the main thread only.

        Raises:
          Stopped: a signal was received before.
        """
        try:
            self._waiting = True
            self.check()
            yield
        finally:
            self._waiting = False

    def record(self, number):
        """Notes a signal; raises `Stopped` inside `interrupts`."""
        self.number = self.number or number
        if self._waiting:
            self._waiting = False
            self.check()


@contextlib.contextmanager
def listen():
    """Records SIGINT and SIGTERM inside the context, instead of ending the process.

    A second Ctrl-C acts at once. A second SIGTERM does not: schedulers send it to a process and
    again to its group. Outside the main thread signals cannot be handled, and nothing is recorded.

    Yields:
      A `StopRequest`.
    """
    request, previous = StopRequest(), {}

    def record(number, frame):
        del frame
        if number == signal.SIGINT:
            signal.signal(number, previous[number])
        request.record(number)

    if threading.current_thread() is threading.main_thread():
        for each in (signal.SIGINT, signal.SIGTERM):
            previous[each] = signal.getsignal(each)
        for each in previous:
            signal.signal(each, record)
    try:
        yield request
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)


def leave(code, *, seconds=30.0):
    """Ends the process as `sys.exit` does, also where a thread never returns from a read.

    Python waits for its threads: after a signal (a code above 128) at most `seconds`.

    Args:
      code: exit code.
      seconds: longest wait for threads.
    """
    if code > 128:
        sys.stdout.flush()
        sys.stderr.flush()
        timer = threading.Timer(seconds, os._exit, (code,))
        timer.daemon = True
        timer.start()
    sys.exit(code)

"""Stop requests: SIGINT and SIGTERM end a training between two steps, not in the middle of one."""

import contextlib
import signal
import threading


class Stopped(Exception):  # noqa: N818 - it reports no error
    """Raised by work that a stop request cut short; the message names the signal."""


class StopRequest:
    """Whether a signal asked the training to stop, and which.

    Attributes:
      number: number of the first signal received, or None.
    """

    number: int | None = None

    def check(self):
        """Raises `Stopped` if a signal was received: for long work that may be cut short."""
        if self.number is not None:
            raise Stopped(signal.Signals(self.number).name)


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
        request.number = request.number or number
        if number == signal.SIGINT:
            signal.signal(number, previous[number])

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

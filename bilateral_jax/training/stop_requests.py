"""A signal becomes a wish to stop: training ends between two steps, not in the middle of one.

Receives SIGINT and SIGTERM from the terminal or the scheduler.
Hands the wish to training/loop.py and to whoever works for minutes between two steps.
"""

import contextlib
import signal
import threading


class Stopped(Exception):  # noqa: N818 - it reports no error
    """Raised by work that gave up because a signal came; the message names the signal."""


class Wish:
    """Whether someone asked for an end, and by which signal.

    Attributes:
      number: number of the first signal that came, or None.
    """

    number: int | None = None

    def check(self):
        """Raises `Stopped` if a signal came: for long work that may be cut short."""
        if self.number is not None:
            raise Stopped(signal.Signals(self.number).name)


@contextlib.contextmanager
def wish():
    """Notes signals for as long as the context lasts, in place of dying by them.

    A second Ctrl-C acts at once. A second SIGTERM does not: schedulers send it to a process and
    again to its group. Outside the main thread nothing can be noted, and nothing is.

    Yields:
      A `Wish`.
    """
    noted, previous = Wish(), {}

    def note(number, frame):
        del frame
        noted.number = noted.number or number
        if number == signal.SIGINT:
            signal.signal(number, previous[number])

    if threading.current_thread() is threading.main_thread():
        for each in (signal.SIGINT, signal.SIGTERM):
            previous[each] = signal.getsignal(each)
        for each in previous:
            signal.signal(each, note)
    try:
        yield noted
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)

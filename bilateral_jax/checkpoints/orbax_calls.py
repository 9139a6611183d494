"""How orbax is called: in one process, without its log, and with failed writers waited for."""

import contextlib
import functools
import logging
import sys
import threading
import time

import jax

_WRITER_SECONDS = 10.0  # to wait for the writers of a failed save; they end within one


def single_process():
    """Options with which orbax waits for no other process."""
    import orbax.checkpoint as ocp

    me = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process{me}"
    )


@contextlib.contextmanager
def waiting_for_writers(directory):
    """Waits, if the block fails, for the writer threads that orbax leaves running.

    Only the first failed write is the block's error. asyncio would log each of the others as an
    exception that was never retrieved: its messages about this directory are dropped from here on.
    """
    before = set(threading.enumerate())
    try:
        with without_late_reports():
            yield
    except Exception:
        deadline = time.monotonic() + _WRITER_SECONDS
        for thread in set(threading.enumerate()) - before:
            # Not `thread.join`: orbax's threads override it with one that raises.
            threading.Thread.join(thread, max(0.0, deadline - time.monotonic()))
        logger = logging.getLogger("asyncio")
        logger.addFilter(lambda record: str(directory) not in record.getMessage())
        raise


@contextlib.contextmanager
def without_late_reports():
    """Drops, if the block fails, what tensorstore's threads report after its end.

    They report to an event loop that is closed by then, and Python would print a traceback for
    each. It may come at any time later, so the hook that drops it stays.
    """
    hook = sys.unraisablehook
    sys.unraisablehook = functools.partial(_drop_late_reports, hook)
    yield
    sys.unraisablehook = hook


def _drop_late_reports(hook, unraisable):
    closed = isinstance(unraisable.exc_value, RuntimeError) and unraisable.object is None
    if not (closed and "Event loop is closed" in str(unraisable.exc_value)):
        hook(unraisable)


@contextlib.contextmanager
def without_log():
    """Silences orbax's log messages (through absl's logger)."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)

"""A resumable iterator over batches that are prepared by background threads or worker processes.

Its position is the number of examples that all processes together have consumed. It does not depend
on threads, workers and processes, so a run saved by one process can be resumed by eight.
"""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import sys
import threading
import weakref

import numpy as np

from bilateral_jax.data.pipeline import batch as batch_lib

# A worker told to end waits this long for its trainer to end first, which may be busy saving.
GRACE_SECONDS = 30.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Options of loading; none of them changes the batch of a step.

    Attributes:
      shard: (index, count) of this process: it reads the index-th of count equal parts of each
        batch.
      threads: readers in the background (of each worker); 0 reads in the caller's thread.
      workers: processes that read; 0 for none. They are spawned, so the program's main module must
        be importable without running (`if __name__ == "__main__"`) and the source must pickle.
      prefetch: batches kept ready (by each worker).
    """

    shard: tuple[int, int] = (0, 1)
    threads: int = 2
    workers: int = 0
    prefetch: int = 4

    def __post_init__(self):
        """Raises ValueError for a negative number, TypeError for one that is not an int."""
        for name in ("threads", "workers", "prefetch"):
            value = getattr(self, name)
            if not isinstance(value, int):
                raise TypeError(f"{name} must be an int, got {value!r}")
            if value < 0:
                raise ValueError(f"{name} must be at least 0, got {value}")


class Loader:
    """An iterator over batches whose position can be saved and restored.

    Nothing is read before the first batch is asked for. `close()` ends threads and workers; so does
    the end of the program.

    Args:
      batches: a Grain `MapDataset`; element i is the batch of step i.
      examples_per_batch: examples that all processes together consume in one step.
      options: of reading; `shard` has been applied to `batches`.

    Attributes:
      waiting: `() -> context manager`, entered while the caller waits for a batch. What it raises
        there leaves the position as it was; the batch is read again.
    """

    waiting = contextlib.nullcontext

    def __init__(self, batches, *, examples_per_batch: int, options: Options):
        self._batches, self._examples, self._options = batches, examples_per_batch, options
        self._step = 0
        self._running = []  # the Grain iterator, once started
        self._first = []  # the next batch, if `peek` has read it
        # Also when the program ends, before Python tears down what Grain's own cleanup needs.
        weakref.finalize(self, _close, self._running)

    def __iter__(self):
        return self

    def __next__(self) -> batch_lib.Batch:
        """Returns the next batch."""
        batch = self.peek()
        self._first.clear()
        self._step += 1
        return batch

    def peek(self) -> batch_lib.Batch:
        """Returns the next batch without advancing."""
        if not self._first:
            self._first.append(self._read())
        return self._first[0]

    def _read(self):
        if not self._running:
            self._running.append(self._start())
        try:
            with self.waiting():
                batch = next(self._running[0])
        except BaseException:
            self.close()  # the batch may be half read: the next call reads it again
            raise
        if self._options.workers:  # copied out of the memory shared with the worker
            batch = {name: np.array(value) for name, value in batch.items()}
        return batch

    def get_state(self) -> dict:
        """Returns the position, `{"examples": int}` of all processes together."""
        return {"examples": self._step * self._examples}

    def set_state(self, state: dict):
        """Moves to the position of a loader of the same source, seed and augmentation.

        Args:
          state: from `get_state`, with any number of processes, workers and threads.

        Raises:
          ValueError: not a position, or one within a batch (saved with another batch size).
        """
        examples = state.get("examples") if isinstance(state, dict) else None
        if type(examples) is not int or not 0 <= examples <= sys.maxsize:
            raise ValueError(f'a position is {{"examples": count}}, got {state!r}')
        if examples % self._examples:
            raise ValueError(
                f"the position of {examples} examples lies within a batch of {self._examples}: "
                "it was saved with another batch size"
            )
        self.close()
        self._step = examples // self._examples

    def close(self):
        """Ends threads and workers; the next batch starts them again."""
        self._first.clear()
        _close(self._running)

    def _start(self):
        import grain

        threads, workers = self._options.threads, self._options.workers
        buffered = self._options.prefetch if threads else 0
        reading = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=buffered)
        remaining = self._batches[self._step :].to_iter_dataset(reading)
        if workers:
            _mark_flags_parsed()
            processes = grain.MultiprocessingOptions(workers, self._options.prefetch)
            remaining = remaining.mp_prefetch(processes, worker_init_fn=_start_worker)
        return iter(remaining)


def _close(running):
    while running:
        running.pop().close()


def _mark_flags_parsed():
    """Lets Grain read its settings, which are absl flags, where no program has parsed any.

    In tests and notebooks they then have their defaults.
    """
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()


def _start_worker(index, count):
    """Prepares a worker process to end with its trainer, and not before.

    Ctrl-C and a scheduler's SIGTERM reach every process of the group, but the trainer needs its
    workers to finish its step and save; it ends them afterwards. If the trainer is killed, the
    worker ends itself.
    """
    del index, count
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _exit_later)
    threading.Thread(target=_exit_with_trainer, daemon=True).start()


def _exit_later(number, frame):
    del frame
    timer = threading.Timer(GRACE_SECONDS, os._exit, (128 + number,))
    timer.daemon = True
    timer.start()


def _exit_with_trainer():
    multiprocessing.parent_process().join()
    os._exit(0)

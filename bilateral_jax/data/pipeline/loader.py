"""Endless batches made in the background, by threads or processes, with a position that moves.

The position is the number of examples that all processes together have consumed. So it says nothing
of threads, workers and processes, and a run that was saved by one process goes on with eight.

Receives a random-access data set of batches from `data/pipeline/batches.py`.
Hands batches to the training loop and its position to the checkpoint.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import weakref

import numpy as np

# A worker told to end waits this long for its trainer to end first, which may be busy saving.
GRACE_SECONDS = 30.0


class Stream:
    """An iterator over batches that can tell its position and be moved to another.

    Nothing is read before the first batch is asked for. `close()` ends threads and workers; so does
    the end of the program.

    Args:
      batches: a Grain `MapDataset`; element i is the batch of step i.
      examples_per_batch: examples that all processes together consume in one step.
      threads: readers in the background (of each worker); 0 reads in the caller's thread.
      workers: processes; 0 for none. They are spawned, so the program's main module must be
        importable without running (`if __name__ == "__main__"`) and the source must pickle.
      prefetch: batches kept ready (by each worker).
    """

    def __init__(self, batches, *, examples_per_batch, threads, workers, prefetch):
        self._batches, self._examples = batches, examples_per_batch
        self._threads, self._workers, self._prefetch = threads, workers, prefetch
        self._step = 0
        self._running = []  # the one Grain iterator, if it was started
        # Also when the program ends, and before Python takes apart what Grain's own cleaning needs.
        weakref.finalize(self, _end, self._running)

    def __iter__(self):
        return self

    def __next__(self) -> dict:
        """Gives the next batch."""
        if not self._running:
            self._running.append(self._start())
        batch = next(self._running[0])
        self._step += 1
        if self._workers:  # out of the memory shared with the worker, which is given back
            batch = {name: np.array(value) for name, value in batch.items()}
        return batch

    def get_state(self) -> dict:
        """Tells the position: `{"examples": int}`, all processes together."""
        return {"examples": self._step * self._examples}

    def set_state(self, state: dict):
        """Moves to a position, told by a stream of the same source, seed and options.

        Args:
          state: what `get_state` gave, of any number of processes, workers and threads.

        Raises:
          ValueError: not a position, or one between two batches (of another batch size).
        """
        examples = state.get("examples") if isinstance(state, dict) else None
        if not isinstance(examples, int) or examples < 0:
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
        _end(self._running)

    def _start(self):
        import grain

        buffered = self._prefetch if self._threads else 0
        options = grain.ReadOptions(num_threads=self._threads, prefetch_buffer_size=buffered)
        ahead = self._batches[self._step :].to_iter_dataset(options)
        if self._workers:
            _settle_flags()
            processes = grain.MultiprocessingOptions(self._workers, self._prefetch)
            ahead = ahead.mp_prefetch(processes, worker_init_fn=_begin_worker)
        return iter(ahead)


def _end(running):
    while running:
        running.pop().close()


def _settle_flags():
    """Lets Grain read its own settings, which are absl flags, where no program has parsed any.

    In a test or a notebook, say: then they have their defaults.
    """
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()


def _begin_worker(index, count):
    """Makes a worker live exactly as long as its trainer.

    Ctrl-C and a scheduler's SIGTERM reach every process of the group. The trainer wants to finish
    its step and save, which needs its workers, and then ends them itself. If it is killed, nobody
    would.
    """
    del index, count
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_later)
    threading.Thread(target=_end_with_trainer, daemon=True).start()


def _end_later(number, frame):
    del frame
    timer = threading.Timer(GRACE_SECONDS, os._exit, (128 + number,))
    timer.daemon = True
    timer.start()


def _end_with_trainer():
    multiprocessing.parent_process().join()
    os._exit(0)

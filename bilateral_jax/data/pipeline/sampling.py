"""Shuffled sampling: the order of the examples, and which of them make the batch of a step.

The batch of a step depends on the seed and the step alone, not on threads, workers or the number of
processes.
"""

from __future__ import annotations

import sys

import numpy as np

from bilateral_jax.data.pipeline import batch, loader
from bilateral_jax.data.sources import views


def shuffled(source, example, *, batch_size: int, seed: int, options: loader.Options):
    """Iterates over a source without end, in a new random order in each epoch.

    Args:
      source: has a length and random access.
      example: `(element, rng) -> row of a batch`, see `batch.example`; the element has two more
        entries, `record` (its index in the source, int32) and `position` (number of the example in
        the whole run).
      batch_size: examples per batch, of all processes together.
      seed: of the order and of every `rng`.
      options: of the loader.

    Returns:
      A `loader.Loader` of batches.

    Raises:
      ValueError: an empty source, or an impossible batch size or shard.
      ImportError: Grain is not installed.
    """
    check(source, batch_size)
    rows = _rows_of(batch_size, options.shard)
    # Random numbers are drawn before the batch is sharded: they belong to the position in the run.
    dataset = _grain().MapDataset
    records = dataset.source(_Shuffled(views.Numbered(source), seed)).seed(seed)
    return loader.Loader(
        dataset.source(_Batches(records.random_map(example), batch_size, rows)),
        examples_per_batch=batch_size,
        options=options,
    )


def check(source, batch_size: int, *, paired: bool = False):
    """Checks that batches can be made of a source.

    Args:
      source: as for `shuffled`.
      batch_size: as for `shuffled`.
      paired: whether pairs are expected.

    Raises:
      ValueError: an empty source, no examples per batch, or an unpaired source where pairs are
        expected.
    """
    if len(source) == 0:
        raise ValueError("the source is empty")
    if paired and not views.is_paired(source):
        raise ValueError(
            "the source is unpaired: its inputs and targets are of different photos; "
            "batches.paired must be False"
        )
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")


class _Shuffled:
    """A source repeated without end, shuffled anew in each epoch.

    Grain's own shuffle of small sources takes milliseconds per element.
    """

    def __init__(self, source, seed):
        self._source, self._seed, self._order = source, seed, (None, None)
        self._size = len(source)

    def __len__(self):
        return sys.maxsize // self._size * self._size

    def __getitem__(self, index):
        epoch, rank = divmod(index, self._size)
        known, order = self._order  # read once: other threads may replace it
        if known != epoch:
            order = np.random.default_rng((self._seed, epoch)).permutation(self._size)
            self._order = (epoch, order)
        return self._source[int(order[rank])] | {"position": index}


class _Batches:
    """Element i is the batch of step i; only the rows of this process are read."""

    def __init__(self, examples, batch_size, rows):
        self._examples, self._batch_size, self._rows = examples, batch_size, rows

    def __len__(self):
        return len(self._examples) // self._batch_size

    def __getitem__(self, step):
        first = step * self._batch_size
        return batch.stack([self._examples[first + row] for row in self._rows])


def _rows_of(batch_size, shard):
    """Returns the rows of every batch that this process makes.

    They are contiguous, as the devices of a process are: whatever the number of processes, the same
    example goes to the same device.
    """
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(f"shard must be (index, count) with 0 <= index < count, got {shard}")
    if batch_size % count:
        raise ValueError(
            f"batch_size counts the examples of all processes and must be a multiple of their "
            f"number {count}, got {batch_size}"
        )
    return range(index * batch_size // count, (index + 1) * batch_size // count)


def _grain():
    try:
        import grain
    except ImportError as error:
        raise ImportError(
            'loading in the background needs Grain: pip install "bilateral_jax[training]"'
        ) from error
    return grain

"""The order in which a training sees its examples, and how they come together as batches.

What is in the batch of a step depends on the seed and on the step alone, not on threads, workers or
the number of processes.

Receives a source and a function that makes an example of its elements, from
`data/pipeline/batches.py` and `data/pipeline/whole_photos.py`.
Hands a stream of batches back to them.
"""

from __future__ import annotations

import sys

import numpy as np

from bilateral_jax.data.pipeline import loader


def shuffled(source, example, *, batch_size, seed, shard, threads, workers, prefetch):
    """Iterates over a source without end, in another order in each epoch.

    Args:
      source: has a length and random access.
      example: `(element, rng) -> dict of arrays`, one row of a batch, all of one size; the element
        has two more numbers, `record` (which of the source it is, int32) and `place` (of the
        example in the whole run).
      batch_size: examples per batch, of all processes together.
      seed: of the order and of every `rng`.
      shard: (index, count) of this process: which part of each batch it reads.
      threads: as for `stream.Stream`.
      workers: as for `stream.Stream`.
      prefetch: as for `stream.Stream`.

    Returns:
      A `stream.Stream` of batches.

    Raises:
      ValueError: an empty source, or an impossible batch size or shard.
      ImportError: Grain is not installed.
    """
    check(source, batch_size)
    rows = _share(batch_size, shard)
    # Random choices are drawn before the rows are shared: they belong to the place in the run.
    dataset = _grain().MapDataset
    records = dataset.source(_Shuffled(Numbered(source), seed)).seed(seed)
    return loader.Stream(
        dataset.source(_Batches(records.random_map(example), batch_size, rows)),
        examples_per_batch=batch_size,
        threads=threads,
        workers=workers,
        prefetch=prefetch,
    )


def check(source, batch_size):
    """Refuses what no batch can be made of.

    Args:
      source: as for `shuffled`.
      batch_size: as for `shuffled`.

    Raises:
      ValueError: an empty source, or no examples per batch.
    """
    if len(source) == 0:
        raise ValueError("the source is empty")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")


def stack(rows):
    """Puts the examples of a batch together.

    Args:
      rows: list of dicts of arrays.

    Returns:
      Dict of arrays with an axis in front.

    Raises:
      ValueError: the examples differ in size.
    """
    for key in rows[0]:
        sizes = sorted({np.shape(row[key]) for row in rows})
        if len(sizes) > 1:
            raise ValueError(
                f"the {key} of the examples of one batch must have one size, got {sizes}; "
                "photos of several shapes go one at a time, or cut to one size"
            )
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


class Numbered:
    """A source whose elements know their number.

    Args:
      source: has a length and random access.
    """

    def __init__(self, source):
        self._source = source

    def __len__(self):
        return len(self._source)

    def __getitem__(self, index):
        """Gives an element with its `record`."""
        return self._source[index] | {"record": np.int32(index)}


class _Shuffled:
    """A source again and again, each time in another order.

    Grain's own shuffle of few photos takes milliseconds for each.
    """

    def __init__(self, source, seed):
        self._source, self._seed, self._order = source, seed, (None, None)

    def __len__(self):
        return sys.maxsize // len(self._source) * len(self._source)

    def __getitem__(self, index):
        epoch, place = divmod(index, len(self._source))
        known, order = self._order  # read once: other threads may put another epoch there
        if known != epoch:
            order = np.random.default_rng((self._seed, epoch)).permutation(len(self._source))
            self._order = (epoch, order)
        return self._source[int(order[place])] | {"place": index}


class _Batches:
    """Element i is the batch of step i; only the rows of this process are read."""

    def __init__(self, examples, batch_size, rows):
        self._examples, self._batch_size, self._rows = examples, batch_size, rows

    def __len__(self):
        return len(self._examples) // self._batch_size

    def __getitem__(self, step):
        first = step * self._batch_size
        return stack([self._examples[first + row] for row in self._rows])


def _share(batch_size, shard):
    """The rows of every batch that this process makes.

    They lie together, as the devices of a process do: whatever the number of processes, the same
    example comes to the same device of all.
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

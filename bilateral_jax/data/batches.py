"""Batches for training and photos for evaluation.

A batch is a dictionary of NumPy arrays: `input` and `target` float32 `[b, h, w, 3]` in [0, 1],
`weight` float32 `[b]` (0 for padding), `record` int32 `[b]` (which element of the source it is),
`window` int32 `[b, 4]` = (top, left, full height, full width) of the picture that the coefficients
describe, and, if that picture is the whole photo, `lowres` float32 `[b, n, n, 3]`.

Receives elements from the sources and steps from `data/augment.py`.
Hands batches to the training step and whole photos to the evaluation.
"""

from __future__ import annotations

import functools
import sys

import numpy as np

from bilateral_jax.data import augment, decoded, stream


def train_batches(
    source,
    *,
    batch_size: int,
    crop,
    seed: int,
    paired: bool = True,
    flips: bool = False,
    rotations: bool = False,
    exposure: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    jitter_target: bool = False,
    lowres_from: str = "crop",
    lowres_size: int = 256,
    lowres_method: str = "area",
    decoded_folder=None,
    shard: tuple[int, int] = (0, 1),
    threads: int = 2,
    workers: int = 0,
    prefetch: int = 4,
):
    """Iterates over shuffled, augmented batches without end, prepared in the background.

    The order is drawn anew in each epoch, and every example has its own random generator; both
    depend on the seed and on the example's place in the whole run, and on nothing else. So the
    batch of a step is the same for any number of threads, workers and processes: process i of n
    gets the i-th of n equal parts of its rows. `get_state()` gives a small JSON-able dictionary; an
    iterator made with the same arguments, but perhaps other `shard`, `threads` and `workers`,
    continues after `set_state(state)` with the very batch that would have come next.

    Args:
      source: has a length and random access, see `data/pairs.py`.
      batch_size: pairs per batch, of all processes together.
      crop: side of the square cut out of each photo, or (height, width).
      seed: of the order and of every random choice.
      paired: input and target show the same and are changed and cut alike. Otherwise each has its
        own flip, turn and crop, and they may differ in size.
      flips: mirror at random, both ways.
      rotations: turn at random by multiples of 90 degrees.
      exposure: largest change in stops, see `augment.draw_jitter`.
      contrast: largest relative change of contrast.
      saturation: largest relative change of saturation.
      jitter_target: also change the target, by the same draw; else only the input is changed, so
        that the network learns to undo it.
      lowres_from: "crop" (as the original: the network sees the crop only) or "photo" (it sees the
        whole photo, `lowres` comes with the batch, and `window` says where the crop lies).
      lowres_size: side of `lowres`.
      lowres_method: "area" or "nearest_legacy".
      decoded_folder: where to keep decoded photos and their low-resolution copies, so that a crop
        costs the reading of a crop (see `data/decoded.py`); None to decode anew each time.
      shard: (index, count) of this process: which part of each batch it reads.
      threads: readers in the background (of each worker); 0 reads in the caller's thread.
      workers: processes that read, see `stream.Stream`; 0 for none.
      prefetch: batches kept ready (by each worker).

    Returns:
      A `stream.Stream` of batches.

    Raises:
      ValueError: an empty source, an impossible size or an unknown option; while iterating, a photo
        smaller than the crop, or a pair of two sizes, by name.
      ImportError: Grain is not installed.
    """
    _check(source, batch_size, lowres_from, lowres_method)
    rows = _share(batch_size, shard)
    jitter = {"exposure": exposure, "contrast": contrast, "saturation": saturation}
    lowres = (lowres_size, lowres_method) if lowres_from == "photo" else None
    if decoded_folder is not None:
        # A copy that is made once must not depend on chance: jitter comes before it, and the
        # nearest pixels of a mirrored photo are not the mirrored nearest pixels.
        keep = lowres_method == "area" and not any(jitter.values())
        source = decoded.Decoded(source, decoded_folder, lowres=lowres if keep else None)
    example = functools.partial(
        _example,
        crop=crop,
        paired=paired,
        steps=(augment.flip,) * flips + (augment.rotate,) * rotations,
        jitter=jitter,
        jitter_target=jitter_target,
        lowres=lowres,
    )
    # Random choices are drawn before the rows are shared: they belong to the place in the run.
    dataset = _grain().MapDataset
    records = dataset.source(_Shuffled(_Numbered(source), seed)).seed(seed)
    return stream.Stream(
        dataset.source(_Batches(records.random_map(example), batch_size, rows)),
        examples_per_batch=batch_size,
        threads=threads,
        workers=workers,
        prefetch=prefetch,
    )


def evaluation_examples(source):
    """Gives every pair of a source once, whole and unchanged, in order.

    Args:
      source: has a length and random access.

    Yields:
      `{"input", "target": float32 [h, w, 3], "name": str}`.
    """
    for index in range(len(source)):
        element = source[index]
        pair = {member: augment.as_float(element[member]) for member in ("input", "target")}
        yield pair | {"name": element["name"]}


def evaluation_batches(
    source, *, batch_size: int, crop, lowres_from="crop", lowres_size=256, lowres_method="area"
):
    """Gives the central crop of every pair once, in order, in batches of one size.

    The last batch is filled up by repeating its last pair with weight 0, so that weighted means do
    not depend on the batch size.

    Args:
      source: has a length and random access.
      batch_size: pairs per batch.
      crop: side of the crop, or (height, width).
      lowres_from: as for `train_batches`.
      lowres_size: as for `train_batches`.
      lowres_method: as for `train_batches`.

    Yields:
      Batches like those of `train_batches`.

    Raises:
      ValueError: as for `train_batches`.
    """
    _check(source, batch_size, lowres_from, lowres_method)
    lowres = (lowres_size, lowres_method) if lowres_from == "photo" else None
    source = _Numbered(source)
    for start in range(0, len(source), batch_size):
        elements = (source[i] for i in range(start, min(start + batch_size, len(source))))
        rows = [_finish(e, augment.center_crop(e, size=crop), lowres) for e in elements]
        rows += [rows[-1] | {"weight": np.float32(0)}] * (batch_size - len(rows))
        yield _stack(rows)


class _Numbered:
    """A source whose elements know their number."""

    def __init__(self, source):
        self._source = source

    def __len__(self):
        return len(self._source)

    def __getitem__(self, index):
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
        return self._source[int(order[place])]


class _Batches:
    """Element i is the batch of step i; only the rows of this process are read."""

    def __init__(self, examples, batch_size, rows):
        self._examples, self._batch_size, self._rows = examples, batch_size, rows

    def __len__(self):
        return len(self._examples) // self._batch_size

    def __getitem__(self, step):
        first = step * self._batch_size
        return _stack([self._examples[first + row] for row in self._rows])


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


def _stack(rows):
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def _example(element, rng, *, crop, paired, steps, jitter, jitter_target, lowres):
    groups = (augment.PAIR,) if paired else [(member,) for member in augment.PAIR]
    copy = ("lowres",) * ("lowres" in element)  # made of the input, it is turned along with it
    for step in steps:
        for members in groups:
            with_copy = members + copy if "input" in members else members
            element = step(element, rng, members=with_copy)
    cut = element
    for members in reversed(groups):  # the window that stays is the input's
        cut = augment.random_crop(cut, rng, size=crop, members=members)
    change = None
    if any(jitter.values()):
        change = augment.draw_jitter(rng, **jitter)
    return _finish(element, cut, lowres, change, jitter_target)


def _finish(whole, cut, lowres, change=None, jitter_target=False):
    """Makes one row of a batch out of a photo and the crop from it."""
    given, wanted = augment.as_float(cut["input"]), augment.as_float(cut["target"])
    if change:
        given = change(given)
        wanted = change(wanted) if jitter_target else wanted
    row = {"input": given, "target": wanted, "weight": np.float32(1), "record": cut["record"]}
    if lowres is None:
        return row | {"window": np.array((0, 0, *given.shape[:2]), np.int32)}
    if "lowres" in whole:
        return row | {"window": cut["window"], "lowres": whole["lowres"]}
    photo = whole["input"] if change is None else change(augment.as_float(whole["input"]))
    return row | {"window": cut["window"], "lowres": augment.lowres(photo, *lowres)}


def _check(source, batch_size, lowres_from, lowres_method):
    if len(source) == 0:
        raise ValueError("the source is empty")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if lowres_from not in ("crop", "photo"):
        raise ValueError(f'lowres_from must be "crop" or "photo", got {lowres_from!r}')
    if lowres_method not in augment.LOWRES_METHODS:
        raise ValueError(
            f"lowres_method must be one of {augment.LOWRES_METHODS}, got {lowres_method!r}"
        )


def _grain():
    try:
        import grain
    except ImportError as error:
        raise ImportError(
            'loading in the background needs Grain: pip install "bilateral_jax[training]"'
        ) from error
    return grain

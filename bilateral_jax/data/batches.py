"""Batches for training and photos for evaluation.

A batch is a dictionary of NumPy arrays: `input` and `target` float32 `[b, h, w, 3]` in [0, 1],
`weight` float32 `[b]` (0 for padding), `window` int32 `[b, 4]` = (top, left, full height, full
width) of the picture that the coefficients describe, and, if that picture is the whole photo,
`lowres` float32 `[b, n, n, 3]`.

Receives elements from the sources and steps from `data/augment.py`.
Hands batches to the training step and whole photos to the evaluation.
"""

from __future__ import annotations

import functools

import numpy as np

from bilateral_jax.data import augment


def train_batches(
    source,
    *,
    batch_size: int,
    crop,
    seed: int,
    flips: bool = False,
    rotations: bool = False,
    exposure: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    jitter_target: bool = False,
    lowres_from: str = "crop",
    lowres_size: int = 256,
    lowres_method: str = "area",
    shard: tuple[int, int] = (0, 1),
    threads: int = 2,
    prefetch: int = 4,
):
    """Iterates over shuffled, augmented batches without end, prepared by threads in the background.

    The order is drawn anew in each epoch; each record has its own random generator, so the batches
    depend on the seed alone and not on threads. `get_state()` gives a small JSON-able dictionary;
    an iterator made with the same arguments continues after `set_state(state)` with the very batch
    that would have come next.

    Args:
      source: has a length and random access, see `data/pairs.py`.
      batch_size: pairs per batch.
      crop: side of the square cut out of each photo, or (height, width).
      seed: of the order and of every random choice.
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
      shard: (index, count) of this process: which part of the records it reads.
      threads: readers in the background; 0 reads in the caller's thread.
      prefetch: batches kept ready.

    Returns:
      A Grain iterator over batches.

    Raises:
      ValueError: an empty source, an impossible size or an unknown option; while iterating, a photo
        smaller than the crop, by name.
      ImportError: Grain is not installed.
    """
    _check(source, batch_size, lowres_from, lowres_method, shard)
    grain = _grain()
    example = functools.partial(
        _example,
        crop=crop,
        steps=(augment.flip,) * flips + (augment.rotate,) * rotations,
        jitter={"exposure": exposure, "contrast": contrast, "saturation": saturation},
        jitter_target=jitter_target,
        lowres=(lowres_size, lowres_method) if lowres_from == "photo" else None,
    )
    index, count = shard
    records = grain.MapDataset.source(source).seed(seed).shuffle().repeat()[index::count]
    batches = records.random_map(example).batch(batch_size, drop_remainder=True)
    options = grain.ReadOptions(
        num_threads=threads, prefetch_buffer_size=prefetch if threads else 0
    )
    return iter(batches.to_iter_dataset(options))


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
    _check(source, batch_size, lowres_from, lowres_method, (0, 1))
    lowres = (lowres_size, lowres_method) if lowres_from == "photo" else None
    for start in range(0, len(source), batch_size):
        indices = range(start, min(start + batch_size, len(source)))
        rows = [
            _finish(source[i], augment.center_crop(source[i], size=crop), lowres) for i in indices
        ]
        rows += [rows[-1] | {"weight": np.float32(0)}] * (batch_size - len(rows))
        yield {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def _example(element, rng, *, crop, steps, jitter, jitter_target, lowres):
    for step in steps:
        element = step(element, rng)
    cut = augment.random_crop(element, rng, size=crop)
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
    row = {"input": given, "target": wanted, "weight": np.float32(1)}
    if lowres is None:
        return row | {"window": np.array((0, 0, *given.shape[:2]), np.int32)}
    photo = whole["input"] if change is None else change(augment.as_float(whole["input"]))
    return row | {"window": cut["window"], "lowres": augment.lowres(photo, *lowres)}


def _check(source, batch_size, lowres_from, lowres_method, shard):
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
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(f"shard must be (index, count) with 0 <= index < count, got {shard}")


def _grain():
    try:
        import grain
    except ImportError as error:
        raise ImportError(
            'loading in the background needs Grain: pip install "bilateral_jax[training]"'
        ) from error
    return grain

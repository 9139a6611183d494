"""Batches for training and photos for evaluation.

A batch is a dictionary of NumPy arrays: `input` and `target` float32 `[b, h, w, 3]` in [0, 1],
`weight` float32 `[b]` (0 for padding), `record` int32 `[b]` (which element of the source it is),
`window` int32 `[b, 4]` = (top, left, full height, full width) of the picture that the coefficients
describe, and, if that picture is the whole photo, `lowres` float32 `[b, n, n, 3]`.

Receives elements from the sources, steps from `data/pipeline/augment.py` and order from
`data/pipeline/sampling.py`.
Hands batches to the training step and whole photos to the evaluation.
"""

from __future__ import annotations

import functools

import numpy as np

from bilateral_jax import images, resize
from bilateral_jax.data.pipeline import augment, pixel_cache, sampling


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
      source: has a length and random access, see `data/sources/pairs.py`.
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
        costs the reading of a crop (see `data/pipeline/pixel_cache.py`); None to decode anew each
        time.
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
    jitter = {"exposure": exposure, "contrast": contrast, "saturation": saturation}
    lowres = (lowres_size, lowres_method) if lowres_from == "photo" else None
    if decoded_folder is not None:
        # A copy that is made once must not depend on chance: jitter comes before it, and the
        # nearest pixels of a mirrored photo are not the mirrored nearest pixels.
        keep = lowres_method == "area" and not any(jitter.values())
        source = pixel_cache.Decoded(source, decoded_folder, lowres=lowres if keep else None)
    example = functools.partial(
        _example,
        crop=crop,
        paired=paired,
        steps=(augment.flip,) * flips + (augment.rotate,) * rotations,
        jitter=jitter,
        jitter_target=jitter_target,
        lowres=lowres,
    )
    return sampling.shuffled(
        source,
        example,
        batch_size=batch_size,
        seed=seed,
        shard=shard,
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
        pair = {member: images.as_float(element[member]) for member in ("input", "target")}
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
    source = sampling.Numbered(source)
    for start in range(0, len(source), batch_size):
        elements = (source[i] for i in range(start, min(start + batch_size, len(source))))
        rows = [_finish(e, augment.center_crop(e, size=crop), lowres) for e in elements]
        rows += [rows[-1] | {"weight": np.float32(0)}] * (batch_size - len(rows))
        yield sampling.stack(rows)


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
    given, wanted = images.as_float(cut["input"]), images.as_float(cut["target"])
    if change:
        given = change(given)
        wanted = change(wanted) if jitter_target else wanted
    row = {"input": given, "target": wanted, "weight": np.float32(1), "record": cut["record"]}
    if lowres is None:
        return row | {"window": np.array((0, 0, *given.shape[:2]), np.int32)}
    if "lowres" in whole:
        return row | {"window": cut["window"], "lowres": whole["lowres"]}
    photo = whole["input"] if change is None else change(images.as_float(whole["input"]))
    size, method = lowres
    small = resize.resize_pixels(photo, size, method=method)
    return row | {"window": cut["window"], "lowres": small}


def _check(source, batch_size, lowres_from, lowres_method):
    sampling.check(source, batch_size)
    if lowres_from not in ("crop", "photo"):
        raise ValueError(f'lowres_from must be "crop" or "photo", got {lowres_from!r}')
    if lowres_method not in resize.METHODS:
        raise ValueError(f"lowres_method must be one of {resize.METHODS}, got {lowres_method!r}")

"""Batches of whole photos, for networks and losses that look at the whole of a picture.

A network that normalises by the statistics of its picture (CAN), and a critic that scores a
picture as a whole (NIMA), would see other things in a crop. So a photo is not cut but shrunk, and
mostly one photo makes a batch, since photos come in several shapes.

Receives elements of pairs from the sources, order from `data/pipeline/sampling.py`.
Hands batches like those of `data/pipeline/batches.py` to the training step.
"""

from __future__ import annotations

import functools

import numpy as np

from bilateral_jax import images, resize
from bilateral_jax.data.pipeline import augment, sampling


def train_batches(
    source,
    *,
    batch_size: int,
    seed: int,
    short_sides=(),
    flips: bool = False,
    shard: tuple[int, int] = (0, 1),
    threads: int = 2,
    workers: int = 0,
    prefetch: int = 4,
):
    """Iterates over shuffled batches of whole photos without end, prepared in the background.

    The target is shrunk like the input. That is what the operator would have made of the shrunk
    input only where the operator does not depend on the size; otherwise give pairs of several sizes
    and leave `short_sides` empty.

    Args:
      source: pairs; has a length and random access, see `data/sources/pairs.py`.
      batch_size: pairs per batch, of all processes together; the photos of one batch must have one
        shape.
      seed: of the order and of every random choice.
      short_sides: lengths, of which each batch gets one at random: the photos' shorter side is
        brought to it, the other goes along; a photo that is smaller stays as it is. Empty: all stay
        as they are. Each shape that comes of it is compiled once.
      flips: mirror at random, both ways.
      shard: (index, count) of this process: which part of each batch it reads.
      threads: as for `batches.train_batches`.
      workers: as for `batches.train_batches`.
      prefetch: as for `batches.train_batches`.

    Returns:
      A `stream.Stream` of batches with `input`, `target`, `weight`, `record`, `window`, which can
      be resumed as that of `batches.train_batches`.

    Raises:
      ValueError: an empty source, an impossible size; while iterating, a pair of two sizes, or a
        batch of photos of several shapes.
      ImportError: Grain is not installed.
    """
    short_sides = tuple(short_sides)
    if not all(_is_length(side) for side in short_sides):
        raise ValueError(f"short_sides must be positive ints, got {short_sides}")
    example = functools.partial(
        _example, batch_size=batch_size, seed=seed, short_sides=short_sides, flips=flips
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


def shrink(pixels, short_side: int):
    """Brings the shorter side of a photo to a length, if it is longer.

    Args:
      pixels: uint8, uint16 or float32 `[h, w, 3]`.
      short_side: the length.

    Returns:
      float32 `[height, width, 3]` in [0, 1].
    """
    shortest = min(pixels.shape[:2])
    if shortest <= short_side:
        return images.as_float(pixels)
    size = [round(n * short_side / shortest) for n in pixels.shape[:2]]
    return resize.resize_pixels(pixels, size)


class Shrunk:
    """A source whose photos are brought to a size first, in the integers that they came in.

    For operators that are slow, or that depend on the size: pairs of them are made of this.

    Args:
      source: any source of photos or pairs.
      short_side: as for `shrink`.

    Raises:
      ValueError: `short_side` is not a positive int.
    """

    def __init__(self, source, short_side: int):
        if not _is_length(short_side):
            raise ValueError(f"short_side must be a positive int, got {short_side!r}")
        self._source, self._short_side = source, short_side

    def __len__(self) -> int:
        return len(self._source)

    @property
    def skipped(self) -> list:
        """What the source has left out, as (name, reason)."""
        return getattr(self._source, "skipped", [])

    def __getitem__(self, index: int) -> dict:
        """Gives an element of the source with smaller photos; floats stay floats."""
        return self._smaller(self._source[index])

    def exact(self, index: int) -> dict:
        """Gives one element, never another in its place; see `checked.Checked.exact`."""
        return self._smaller(getattr(self._source, "exact", self._source.__getitem__)(index))

    def _smaller(self, element):
        members = [name for name in ("image", *augment.PAIR) if name in element]
        return element | {name: self._resized(element[name]) for name in members}

    def _resized(self, pixels):
        small = shrink(pixels, self._short_side)
        if not np.issubdtype(pixels.dtype, np.integer):
            return small
        return images.to_integer(small, 8 * pixels.dtype.itemsize)


def _example(element, rng, *, batch_size, seed, short_sides, flips):
    if element["input"].shape != element["target"].shape:
        raise ValueError(
            f"the photos of pair {element.get('name', '')!r} must have one size: "
            f"{element['input'].shape} and {element['target'].shape}"
        )
    if flips:
        element = augment.flip(element, rng)
    given, wanted = (images.as_float(element[member]) for member in augment.PAIR)
    if short_sides:
        # The same for all examples of a step, whoever reads them.
        step = element["place"] // batch_size
        side = int(np.random.default_rng((seed, step)).choice(short_sides))
        given, wanted = (shrink(element[member], side) for member in augment.PAIR)
    return {
        "input": given,
        "target": wanted,
        "weight": np.float32(1),
        "record": element["record"],
        "window": np.array((0, 0, *given.shape[:2]), np.int32),
    }


def _is_length(side):
    return isinstance(side, int) and not isinstance(side, bool) and side > 0

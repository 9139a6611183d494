"""Batches of whole photos or clips, for networks and losses that use the statistics of an image.

A network that normalises by statistics of its image (CAN), or a critic that scores an image as a
whole (NIMA), would see something else in a crop. So photos are resized instead of cropped. Photos
of several shapes go one per batch, or are padded to one size.
"""

from __future__ import annotations

import functools

import numpy as np

from bilateral_jax import images, resize
from bilateral_jax.data.pipeline import augment, batch, loader, sampling
from bilateral_jax.data.sources import views


def train_batches(
    source,
    *,
    batch_size: int,
    seed: int,
    paired: bool = True,
    short_sides=(),
    long_side: int | None = None,
    flips: bool = False,
    rotations: bool = False,
    pad_to=None,
    border: str = "repeat",
    **loading,
) -> loader.Loader:
    """Iterates over shuffled batches of whole photos without end, read in the background.

    The target is resized like the input. That equals the operator's result on the resized input
    only where the operator does not depend on the size; otherwise use pairs of several sizes and
    leave `short_sides` empty.

    Args:
      source: as for `batches.train_batches`.
      batch_size: examples per batch, of all processes together. Without `pad_to` the inputs of a
        batch must have one shape, and so must its targets.
      seed: of the order and of all random numbers.
      paired: input and target show the same scene, have one size and share the flip and the
        rotation. Otherwise each has its own, and they may differ in size.
      short_sides: lengths, of which each batch gets one at random: the shorter side of every photo
        is reduced to it, keeping the aspect ratio; a smaller photo stays as it is. Empty: no
        resizing. Each resulting shape is compiled once.
      long_side: length to which the longer side of every photo is reduced, in place of
        `short_sides`; a smaller photo stays as it is. None: no resizing.
      flips: flip at random, both ways.
      rotations: rotate at random by multiples of 90 degrees.
      pad_to: side of a square, or (height, width), to which every image is padded at the bottom and
        right; `valid` (and `target_valid` if not `paired`) marks the photo. None: no padding, no
        mask.
      border: how it is padded, "repeat" or "mirror", see `batch.pad`.
      **loading: fields of `loader.Options`: `shard`, `threads`, `workers`, `prefetch`.

    Returns:
      A `loader.Loader` of batches, see `data/pipeline/batch.py`; `window` is that of the padded
      image, which is what the network sees.

    Raises:
      ValueError: an empty source, an impossible size; while iterating, a pair of two sizes, a photo
        larger than `pad_to`, a batch of several shapes, or neither image nor clip.
      TypeError: an unknown option, by name.
      ImportError: Grain is not installed.
    """
    options = loader.Options(**loading)
    sampling.check(source, batch_size, paired=paired)
    short_sides = tuple(short_sides)
    if not all(_is_length(side) for side in short_sides):
        raise ValueError(f"short_sides must be positive ints, got {short_sides}")
    if long_side is not None and (short_sides or not _is_length(long_side)):
        raise ValueError(
            "long_side must be a positive int, or None with short_sides, got "
            f"{long_side!r} and {short_sides}"
        )
    if pad_to is not None:
        pad_to = resize.both_sides(pad_to)
        if min(pad_to) < 1:
            raise ValueError(f"pad_to must be at least 1 pixel high and wide, got {pad_to}")
    if border not in batch.BORDERS:
        raise ValueError(f"border must be one of {tuple(batch.BORDERS)}, got {border!r}")
    example = functools.partial(
        _example,
        batch_size=batch_size,
        seed=seed,
        paired=paired,
        short_sides=short_sides,
        long_side=long_side,
        flips=flips,
        rotations=rotations,
        pad_to=pad_to,
        border=border,
    )
    return sampling.shuffled(source, example, batch_size=batch_size, seed=seed, options=options)


def limit_short_side(pixels, short_side: int) -> np.ndarray:
    """Reduces the shorter side of an image to a length by area averaging; never enlarges.

    Args:
      pixels: uint8, uint16 or float32 `[..., h, w, 3]`.
      short_side: the length.

    Returns:
      float32 `[..., height, width, 3]` in [0, 1].
    """
    size = pixels.shape[-3:-1]
    if min(size) <= short_side:
        return images.as_float(pixels)
    return resize.resize_pixels(pixels, [round(side * short_side / min(size)) for side in size])


def limit_long_side(pixels, long_side: int) -> np.ndarray:
    """Reduces the longer side of an image to a length by area averaging; never enlarges.

    Args:
      pixels: uint8, uint16 or float32 `[..., h, w, 3]`.
      long_side: the length.

    Returns:
      float32 `[..., height, width, 3]` in [0, 1].
    """
    size = pixels.shape[-3:-1]
    if max(size) <= long_side:
        return images.as_float(pixels)
    return resize.resize_pixels(pixels, resize.fitted_size(*size, long_side))


class Resized(views.View):
    """A source whose images are resized when they are read; integers stay integers.

    For operators that are slow, or that depend on the size: make pairs of the resized images.

    Args:
      source: any source of images or pairs.
      short_side: as for `limit_short_side`.
      long_side: as for `limit_long_side`, in place of `short_side`.

    Raises:
      ValueError: not exactly one of the two, or it is not a positive int.
    """

    def __init__(self, source, short_side: int | None = None, *, long_side: int | None = None):
        given = {"short_side": short_side, "long_side": long_side}
        given = {name: length for name, length in given.items() if length is not None}
        if len(given) != 1:
            raise ValueError(f"give short_side or long_side, got {given or 'neither'}")
        ((name, length),) = given.items()
        if not _is_length(length):
            raise ValueError(f"{name} must be a positive int, got {length!r}")
        super().__init__(source)
        limits = {"short_side": limit_short_side, "long_side": limit_long_side}
        self._limit, self._length = limits[name], length

    def __getitem__(self, index: int) -> dict:
        """Returns an element of the source with smaller images."""
        return self._resize_element(self._source[index])

    def exact(self, index: int) -> dict:
        """Returns one element without substitution, see `file_source.FileSource.exact`."""
        return self._resize_element(self._exact(index))

    def _resize_element(self, element):
        members = [name for name in ("image", *augment.PAIR) if name in element]
        return element | {name: self._resize(element[name]) for name in members}

    def _resize(self, pixels):
        small = self._limit(pixels, self._length)
        if not np.issubdtype(pixels.dtype, np.integer):
            return small
        return images.to_integer(small, images.bit_depth(pixels))


def _example(
    element, rng, *, batch_size, seed, paired, short_sides, long_side, flips, rotations, pad_to,
    border,
):  # fmt: skip
    augment.check_images(element)
    for members in augment.groups(paired):
        augment.check_one_size(element, members=members)
        if flips:
            element = augment.flip(element, rng, members=members)
        if rotations:
            element = augment.rotate(element, rng, members=members)
    pair = [element[member] for member in augment.PAIR]
    if short_sides:
        # Drawn from the step, so that all examples of a batch agree, whichever process reads them.
        step = element["position"] // batch_size
        side = int(np.random.default_rng((seed, step)).choice(short_sides))
        pair = [limit_short_side(pixels, side) for pixels in pair]
    if long_side is not None:
        pair = [limit_long_side(pixels, long_side) for pixels in pair]
    pair, masks = [images.as_float(pixels) for pixels in pair], {}
    if pad_to is not None:
        pair, (valid, target_valid) = zip(
            *(_pad(element, pixels, pad_to, border) for pixels in pair)
        )
        masks = {"valid": valid} | ({} if paired else {"target_valid": target_valid})
    image, target = pair
    window = batch.full_window(image)
    return batch.example(
        input=image, target=target, record=element["record"], window=window, **masks
    )


def _pad(element, pixels, pad_to, border):
    height, width = pixels.shape[-3:-1]
    if height > pad_to[0] or width > pad_to[1]:
        raise ValueError(
            f"photo {element.get('name', '')!r} of {height} x {width} pixels is larger than "
            f"pad_to, {pad_to[0]} x {pad_to[1]}"
        )
    return batch.pad(pixels, pad_to, border=border)


def _is_length(side):
    return isinstance(side, int) and not isinstance(side, bool) and side > 0

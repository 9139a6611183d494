"""Batches of photos with the opinions about them, for a network that predicts those.

A batch is a dictionary of NumPy arrays: `input` float32 `[b, n, n, 3]` in [0, 1], `target` float32
`[b, 10]` (shares of the scores 1 to 10), `weight` float32 `[b]`, `record` int32 `[b]`.

Receives elements from `data/sources/ava.py`, `data/sources/tid2013.py` and
`data/synthetic/synthetic_ratings.py`, order from `data/pipeline/sampling.py`.
Hands batches to the training step.
"""

from __future__ import annotations

import functools

import numpy as np

from bilateral_jax.data.pipeline import rating_distributions, sampling

RESIZE_METHODS = ("nearest", "antialias")


def train_batches(
    source,
    *,
    batch_size: int,
    seed: int,
    size: int,
    resize: str,
    load_size: int | None = None,
    flips: bool = True,
    spread: bool = False,
    shard: tuple[int, int] = (0, 1),
    threads: int = 2,
    workers: int = 0,
    prefetch: int = 4,
):
    """Iterates over shuffled batches of rated photos without end, prepared in the background.

    Args:
      source: elements with "image" (uint8 `[h, w, 3]`) and opinions, see `opinions.shares`.
      batch_size: photos per batch, of all processes together.
      seed: of the order and of every random choice.
      size: side of the square that the network sees.
      resize: "nearest" or "antialias", as `square`.
      load_size: the whole photo is brought to a square of this side first, whatever its shape, and
        a random square of `size` is cut out of that; None for `size` itself, no cut.
      flips: mirror left-right at random.
      spread: see `opinions.shares`.
      shard: as for `batches.train_batches`.
      threads: as for `batches.train_batches`.
      workers: as for `batches.train_batches`.
      prefetch: as for `batches.train_batches`.

    Returns:
      A `stream.Stream` of batches, which can be resumed as that of `batches.train_batches`.

    Raises:
      ValueError: an empty source, or an impossible size or method; while iterating, a photo without
        opinions, by name.
      ImportError: Grain is not installed.

    Reference: Talebi and Milanfar 2018, "NIMA: Neural image assessment", section III-A: 256 and 224
    pixels.
    """
    load_size = size if load_size is None else load_size
    if not 1 <= size <= load_size:
        raise ValueError(f"size must lie in [1, load_size], got {size} and {load_size}")
    _check_method(resize)
    example = functools.partial(
        _example, size=size, load_size=load_size, resize=resize, flips=flips, spread=spread
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


def square(pixels, *, size: int, method: str) -> np.ndarray:
    """Brings a photo to a square, whatever its shape.

    Args:
      pixels: uint8 `[h, w, 3]`.
      size: side of the square.
      method: "nearest" (Pillow's `NEAREST`: what Keras does by default) or "antialias" (its
        `BILINEAR`, which averages where it shrinks).

    Returns:
      uint8 `[size, size, 3]`.

    Raises:
      TypeError: other pixels than uint8.
      ValueError: not `[h, w, 3]`, or an unknown method.
    """
    import PIL.Image

    pixels = np.asarray(pixels)
    _check_method(method)
    if pixels.dtype != np.uint8:
        raise TypeError(f"a rated photo must be uint8, got {pixels.dtype}")
    if pixels.ndim != 3 or pixels.shape[-1] != 3:
        raise ValueError(f"a rated photo must be [h, w, 3], got {pixels.shape}")
    kinds = {"nearest": PIL.Image.Resampling.NEAREST, "antialias": PIL.Image.Resampling.BILINEAR}
    return np.asarray(PIL.Image.fromarray(pixels).resize((size, size), kinds[method]))


def _example(element, rng, *, size, load_size, resize, flips, spread):
    pixels = square(element["image"], size=load_size, method=resize)
    top, left = rng.integers(load_size - size + 1, size=2)
    pixels = pixels[top : top + size, left : left + size]
    if rng.uniform() < 0.5 and flips:
        pixels = pixels[:, ::-1]
    return {
        "input": pixels.astype(np.float32) / np.float32(255),
        "target": rating_distributions.shares(element, spread=spread),
        "weight": np.float32(1),
        "record": element["record"],
    }


def _check_method(method):
    if method not in RESIZE_METHODS:
        raise ValueError(f"resize must be one of {RESIZE_METHODS}, got {method!r}")

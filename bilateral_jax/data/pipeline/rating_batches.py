"""Batches of images with distributions of scores, for networks that predict ratings.

A batch has `input` float32 `[b, n, n, 3]`, `target` float32 `[b, 10]` (probabilities of the scores
1 to 10), `weight` and `record`, see `data/pipeline/batch.py`.
"""

from __future__ import annotations

import functools

import numpy as np

from bilateral_jax import images
from bilateral_jax import resize as resize_lib
from bilateral_jax.data.pipeline import batch, loader, rating_distributions, sampling


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
    **loading,
) -> loader.Loader:
    """Iterates over shuffled batches of rated images without end, read in the background.

    Args:
      source: elements with "image" (uint8 `[h, w, 3]`) and ratings, see
        `rating_distributions.distribution`.
      batch_size: examples per batch, of all processes together.
      seed: of the order and of all random numbers.
      size: side of the network's square input.
      resize: "nearest" or "antialias", see `square`.
      load_size: side of the square to which the image is resized first, whatever its shape, and
        from which a random crop of `size` is taken; None for `size`, no crop.
      flips: flip left-right at random.
      spread: also fit the deviation of a mean score, see `rating_distributions.distribution`.
      **loading: fields of `loader.Options`: `shard`, `threads`, `workers`, `prefetch`.

    Returns:
      A `loader.Loader` of batches.

    Raises:
      ValueError: an empty source, or an impossible size or method; while iterating, an image
        without ratings or with a frame axis.
      TypeError: an unknown option, by name.
      ImportError: Grain is not installed.

    Reference: Talebi and Milanfar 2018, "NIMA: Neural image assessment", section III-A: 256 and 224
    pixels.
    """
    options = loader.Options(**loading)
    load_size = size if load_size is None else load_size
    if not 1 <= size <= load_size:
        raise ValueError(f"size must lie in [1, load_size], got {size} and {load_size}")
    _check_method(resize)
    example = functools.partial(
        _example, size=size, load_size=load_size, resize=resize, flips=flips, spread=spread
    )
    return sampling.shuffled(source, example, batch_size=batch_size, seed=seed, options=options)


def square(pixels, *, size: int, method: str) -> np.ndarray:
    """Resizes an image to a square, whatever its shape.

    Args:
      pixels: uint8 `[h, w, 3]`.
      size: side of the square.
      method: "nearest" (Pillow's `NEAREST`, the default of Keras) or "antialias" (its `BILINEAR`,
        which averages where it reduces).

    Returns:
      uint8 `[size, size, 3]`.

    Raises:
      TypeError: other pixels than uint8.
      ValueError: not `[h, w, 3]`, such as a clip; or an unknown method.
    """
    import PIL.Image

    pixels = np.asarray(pixels)
    _check_method(method)
    if pixels.dtype != np.uint8:
        raise TypeError(f"a rated image must be uint8, got {pixels.dtype}")
    if pixels.ndim != 3 or pixels.shape[-1] != 3:
        raise ValueError(f"a rated image must be [h, w, 3], without frames, got {pixels.shape}")
    kinds = {"nearest": PIL.Image.Resampling.NEAREST, "antialias": PIL.Image.Resampling.BILINEAR}
    return np.asarray(PIL.Image.fromarray(pixels).resize((size, size), kinds[method]))


def _example(element, rng, *, size, load_size, resize, flips, spread):
    if "image" not in element:
        raise ValueError(
            f"a source of rated images is expected, with an image; {element.get('name', '')!r} has "
            f"{', '.join(sorted(element))}"
        )
    pixels = square(element["image"], size=load_size, method=resize)
    top, left = rng.integers(load_size - size + 1, size=2)
    pixels = pixels[top : top + size, left : left + size]
    if rng.uniform() < 0.5 and flips:
        pixels = pixels[:, ::-1]
    return batch.example(
        input=images.to_float(pixels),
        target=rating_distributions.distribution(element, spread=spread),
        record=element["record"],
    )


def _check_method(method):
    if method not in resize_lib.PILLOW_METHODS:
        raise ValueError(f"resize must be one of {resize_lib.PILLOW_METHODS}, got {method!r}")

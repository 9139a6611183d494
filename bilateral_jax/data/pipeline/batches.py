"""Batches of augmented crops for training, and whole images for evaluation.

The keys of a batch are declared in `data/pipeline/batch.py`. Elements may be images `[h, w, 3]` or
clips `[t, h, w, 3]`.
"""

from __future__ import annotations

import functools

from bilateral_jax import images, resize
from bilateral_jax.data.pipeline import augment, batch, loader, pixel_cache, sampling
from bilateral_jax.data.sources import image_files, views


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
    brightness: float = 0.0,
    jitter_target: bool = False,
    lowres_from: str = "crop",
    lowres_size: int = 256,
    lowres_method: str = "area",
    decoded_folder=None,
    **loading,
) -> loader.Loader:
    """Iterates over shuffled batches of augmented crops without end, read in the background.

    The order is drawn anew in each epoch, and every example has its own random generator; both
    depend only on the seed and on the example's position in the run. So the batch of a step is the
    same for any number of threads, workers and processes. `get_state()` returns a small JSON-able
    dictionary; a loader made with the same arguments, but for `loading`, continues after
    `set_state(state)` with exactly the next batch.

    Args:
      source: elements `{"input", "target": pixels [h, w, 3] or [t, h, w, 3], "name"}`, see
        `data/sources/views.py`.
      batch_size: examples per batch, of all processes together.
      crop: side of the square crop, or (height, width).
      seed: of the order and of all random numbers.
      paired: input and target show the same scene and share all random draws. Otherwise each has
        its own flip, rotation and crop, and they may differ in size.
      flips: flip at random, both ways.
      rotations: rotate at random by multiples of 90 degrees.
      exposure: largest change in stops, see `augment.draw_jitter`.
      contrast: largest relative change of contrast.
      saturation: largest relative change of saturation.
      brightness: largest relative change of the values.
      jitter_target: apply the same jitter to the target; otherwise only the input is changed and
        the network learns to undo it.
      lowres_from: "crop" (as the original: the network sees the crop only) or "photo" (it sees the
        whole photo: the batch has `lowres`, and `window` says where the crop lies in the photo).
      lowres_size: side of `lowres`.
      lowres_method: one of `resize.METHODS`, such as "area" or "nearest_legacy".
      decoded_folder: folder of a `pixel_cache.PixelCache`, so that a crop costs the reading of a
        crop; None decodes each photo every time.
      **loading: fields of `loader.Options`: `shard`, `threads`, `workers`, `prefetch`.

    Returns:
      A `loader.Loader` of batches.

    Raises:
      ValueError: an empty source, an impossible size, photos known to be smaller than the crop, or
        an unknown value; while iterating, a photo smaller than the crop, a pair of two sizes, or
        neither image nor clip, by name.
      TypeError: an unknown option, by name.
      ImportError: Grain is not installed.
    """
    options = loader.Options(**loading)
    sampling.check(source, batch_size, paired=paired)
    _check_crop(source, crop, rotations)
    _check_lowres(lowres_from, lowres_method)
    jitter = {"exposure": exposure, "contrast": contrast, "saturation": saturation}
    jitter |= {"brightness": brightness} if brightness else {}
    lowres = (lowres_size, lowres_method) if lowres_from == "photo" else None
    if decoded_folder is not None:
        # The cached copy must not depend on random draws: jitter comes before it, and the nearest
        # pixels of a flipped photo are not the flipped nearest pixels.
        cacheable = lowres_method == "area" and not any(jitter.values())
        source = pixel_cache.PixelCache(
            source, decoded_folder, lowres=lowres if cacheable else None
        )
    example = functools.partial(
        _example,
        crop=crop,
        groups=augment.groups(paired),
        steps=(augment.flip,) * flips + (augment.rotate,) * rotations,
        jitter=jitter,
        jitter_target=jitter_target,
        lowres=lowres,
    )
    return sampling.shuffled(source, example, batch_size=batch_size, seed=seed, options=options)


def evaluation_examples(source):
    """Iterates once over the pairs of a source, whole and in order.

    Args:
      source: has a length and random access.

    Yields:
      `{"input", "target": float32 [h, w, 3] or [t, h, w, 3], "name": str}`.
    """
    for index in range(len(source)):
        element = source[index]
        pair = {member: images.as_float(element[member]) for member in augment.PAIR}
        yield pair | {"name": element["name"]}


def _example(element, rng, *, crop, groups, steps, jitter, jitter_target, lowres):
    augment.check_images(element)
    copy = ("lowres",) * ("lowres" in element)  # the copy of the input is changed as the input is
    for step in steps:
        for members in groups:
            with_copy = members + copy if "input" in members else members
            element = step(element, rng, members=with_copy)
    cropped = element
    for members in reversed(groups):  # the window that stays is the input's
        cropped = augment.random_crop(cropped, rng, size=crop, members=members)
    change = augment.draw_jitter(rng, **jitter) if any(jitter.values()) else None
    return _row(element, cropped, lowres, change, jitter_target)


def _row(photo, crop, lowres, change=None, jitter_target=False):
    """Makes one row of a batch of a photo and a crop of it."""
    image, target = images.as_float(crop["input"]), images.as_float(crop["target"])
    if change:
        image = change(image)
        target = change(target) if jitter_target else target
    row = batch.example(
        input=image, target=target, record=crop["record"], window=batch.full_window(image)
    )
    if lowres is None:
        return row
    if "lowres" in photo:
        small = photo["lowres"]
    else:
        whole = photo["input"] if change is None else change(images.as_float(photo["input"]))
        small = resize.resize_pixels(whole, lowres[0], method=lowres[1])
    return row | {"window": crop["window"], "lowres": small}


def _check_crop(source, crop, rotations):
    sides = resize.both_sides(crop)
    if not all(isinstance(side, int) and side > 0 for side in sides):
        raise ValueError(f"crop must be a positive int or two of them, got {crop!r}")
    height, width = (max(sides),) * 2 if rotations else sides
    if small := views.smaller_than(source, height, width):
        raise ValueError(
            f"{len(small)} of {len(source)} photos are smaller than the crop of {height} x {width} "
            f"pixels: {image_files.join_names(small)}"
        )


def _check_lowres(lowres_from, lowres_method):
    if lowres_from not in ("crop", "photo"):
        raise ValueError(f'lowres_from must be "crop" or "photo", got {lowres_from!r}')
    if lowres_method not in resize.METHODS:
        raise ValueError(f"lowres_method must be one of {resize.METHODS}, got {lowres_method!r}")

"""Augmentation of a pair: flips, rotations, crops, colour jitter.

An augmentation is `(element, rng, members=...) -> element` and does not write into its argument. It
changes all `members` by one random draw; for unpaired images call it once for each. Images are
`[..., h, w, 3]`: all frames of a clip are changed alike. Flips and rotations come before the crop,
so that the crop's window describes the photo as the network sees it.
"""

from __future__ import annotations

import numpy as np

from bilateral_jax import color, resize

PAIR = ("input", "target")


def groups(paired: bool) -> tuple:
    """Groups the members of an element that share random draws.

    Args:
      paired: input and target show the same scene.

    Returns:
      Tuple of tuples of members: both together, or each alone.
    """
    return (PAIR,) if paired else tuple((member,) for member in PAIR)


def flip(element: dict, rng: np.random.Generator, *, members=PAIR) -> dict:
    """Flips left-right and upside-down, each with probability one half.

    Args:
      element: `{"input", "target": [..., h, w, 3], ...}`.
      rng: random generator.
      members: entries to change.

    Returns:
      The element with all members flipped alike.

    Reference: the original HDRNet's data pipeline.
    """
    rows, columns = (slice(None, None, int(step)) for step in rng.choice((-1, 1), size=2))
    return _change(element, members, lambda pixels: pixels[..., rows, columns, :])


def rotate(element: dict, rng: np.random.Generator, *, members=PAIR) -> dict:
    """Rotates by 0, 90, 180 or 270 degrees, equally likely.

    Args:
      element: `{"input", "target": [..., h, w, 3], ...}`.
      rng: random generator.
      members: entries to change.

    Returns:
      The element with all members rotated alike; height and width may be swapped.
    """
    turns = int(rng.integers(4))
    return _change(element, members, lambda pixels: np.rot90(pixels, turns, axes=(-3, -2)))


def random_crop(element: dict, rng: np.random.Generator, *, size, members=PAIR) -> dict:
    """Crops all members to one uniformly random window.

    Args:
      element: `{"input", "target": [..., h, w, 3], ...}`.
      rng: random generator.
      size: side in pixels, or (height, width).
      members: entries to crop, all of one size.

    Returns:
      The element with cropped members and `"window"`: int32 (top, left, full height, full width).

    Raises:
      ValueError: the photo is smaller than the crop, or the members differ in size; named.
    """
    (height, width), (crop_height, crop_width) = _crop_range(element, size, members)
    top = int(rng.integers(height - crop_height + 1))
    left = int(rng.integers(width - crop_width + 1))
    return _crop(element, top, left, crop_height, crop_width, members)


def draw_jitter(
    rng: np.random.Generator, *, exposure=0.0, contrast=0.0, saturation=0.0, brightness=0.0
):
    """Draws one random change of exposure, contrast, saturation and brightness.

    The change acts on each pixel alone, so it gives the same for a crop and for the whole photo.

    Args:
      rng: random generator.
      exposure: largest change in stops, of linear light.
      contrast: largest relative change of the distance from mid-grey (0.5).
      saturation: largest relative change of the distance from the pixel's own luma.
      brightness: largest relative change of the values as they are, before that of contrast.

    Returns:
      A function from float images `[..., 3]` to float images in [0, 1].
    """
    stops = rng.uniform(-exposure, exposure)
    gain = 1.0 + rng.uniform(-contrast, contrast)
    chroma = 1.0 + rng.uniform(-saturation, saturation)
    # Drawn last and only if asked for: what seeds gave before there was one stays.
    factor = 1.0 + rng.uniform(-brightness, brightness) if brightness else 1.0

    def change(image):
        if exposure:
            image = color.linear_to_srgb(color.srgb_to_linear(image) * image.dtype.type(2.0**stops))
        if brightness:
            image = np.clip(image * image.dtype.type(factor), 0.0, 1.0)
        if contrast:
            image = (image - 0.5) * image.dtype.type(gain) + 0.5
        if saturation:
            image = color.scale_saturation(image, image.dtype.type(chroma))
        return np.clip(image, 0.0, 1.0)

    return change


def check_images(element: dict):
    """Checks that both members of a pair are images or clips.

    Args:
      element: `{"input", "target", ...}`.

    Raises:
      ValueError: there are no pairs, or a member is neither `[h, w, 3]` nor `[t, h, w, 3]`; named.
    """
    for member in PAIR:
        if member not in element:
            raise ValueError(
                f"a source of pairs, with input and target, is expected; got "
                f"{element.get('name', '')!r} with {', '.join(sorted(element))}"
            )
        shape = np.shape(element[member])
        if len(shape) not in (3, 4) or shape[-1] != 3:
            raise ValueError(
                f"{member} of {element.get('name', '')!r} must be an image [h, w, 3] or a clip "
                f"[t, h, w, 3], got {shape}"
            )


def check_one_size(element: dict, *, members=PAIR):
    """Checks that members agree in height, width and frames.

    Args:
      element: `{"input", "target", ...}`.
      members: entries to compare.

    Raises:
      ValueError: they differ; the element is named.
    """
    sizes = [" x ".join(str(side) for side in element[member].shape[:-1]) for member in members]
    if len(set(sizes)) > 1:
        raise ValueError(
            f"the photos of pair {element.get('name', '')!r} must have one size: "
            f"{' and '.join(sizes)}"
        )


def _change(element, members, change):
    return element | {member: change(element[member]) for member in members}


def _crop_range(element, size, members):
    check_one_size(element, members=members)
    height, width = element[members[0]].shape[-3:-1]
    crop_height, crop_width = resize.both_sides(size)
    if crop_height > height or crop_width > width:
        raise ValueError(
            f"photo {element.get('name', '')!r} of {height} x {width} pixels is smaller than "
            f"the crop of {crop_height} x {crop_width}"
        )
    return (height, width), (crop_height, crop_width)


def _crop(element, top, left, height, width, members):
    window = np.array((top, left, *element[members[0]].shape[-3:-1]), np.int32)
    rows, columns = slice(top, top + height), slice(left, left + width)
    cropped = _change(element, members, lambda pixels: pixels[..., rows, columns, :])
    return cropped | {"window": window}

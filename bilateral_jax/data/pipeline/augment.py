"""Random changes to a pair, the same for both members.

Every step is `step(element, rng) -> element` and leaves its argument alone. It changes all
`members` by one draw; for photos that do not belong together, call it once for each. Flips and
rotations are for whole photos: they come before the crop, so that the crop's window describes the
photo as the network sees it.

Receives elements from the sources.
Hands elements to `data/pipeline/batches.py`.
"""

from __future__ import annotations

import numpy as np

from bilateral_jax import color

PAIR = ("input", "target")


def flip(element: dict, rng: np.random.Generator, *, members=PAIR) -> dict:
    """Mirrors a pair left-right and upside-down, each with probability one half.

    Args:
      element: `{"input", "target": [h, w, 3], ...}`, whole photos.
      rng: where the chance comes from.
      members: the photos to change.

    Returns:
      The element with both members mirrored alike.

    Reference: the original HDRNet's data pipeline.
    """
    rows, columns = (slice(None, None, int(step)) for step in rng.choice((-1, 1), size=2))
    return _change(element, members, lambda pixels: pixels[rows, columns])


def rotate(element: dict, rng: np.random.Generator, *, members=PAIR) -> dict:
    """Turns a pair by 0, 90, 180 or 270 degrees, equally likely.

    Args:
      element: `{"input", "target": [h, w, 3], ...}`, whole photos.
      rng: where the chance comes from.
      members: the photos to change.

    Returns:
      The element with both members turned alike; height and width may have changed places.
    """
    turns = int(rng.integers(4))
    return _change(element, members, lambda pixels: np.rot90(pixels, turns))


def random_crop(element: dict, rng: np.random.Generator, *, size, members=PAIR) -> dict:
    """Cuts one window, uniformly placed, out of both members.

    Args:
      element: `{"input", "target": [h, w, 3], ...}`, whole photos.
      rng: where the chance comes from.
      size: side in pixels, or (height, width).
      members: the photos to cut, all of one size.

    Returns:
      The element with the members cut and `"window"`: int32 (top, left, full height, full width).

    Raises:
      ValueError: the photo is smaller than the crop, or the members differ in size; its name is
        told.
    """
    (height, width), (crop_height, crop_width) = _room(element, size, members)
    top = int(rng.integers(height - crop_height + 1))
    left = int(rng.integers(width - crop_width + 1))
    return _cut(element, top, left, crop_height, crop_width, members)


def center_crop(element: dict, *, size) -> dict:
    """Cuts the central window out of both members.

    Args:
      element: `{"input", "target": [h, w, 3], ...}`, whole photos.
      size: side in pixels, or (height, width).

    Returns:
      As `random_crop`.

    Raises:
      ValueError: the photo is smaller than the crop; its name is told.
    """
    (height, width), (crop_height, crop_width) = _room(element, size, PAIR)
    top, left = (height - crop_height) // 2, (width - crop_width) // 2
    return _cut(element, top, left, crop_height, crop_width, PAIR)


def draw_jitter(rng: np.random.Generator, *, exposure=0.0, contrast=0.0, saturation=0.0):
    """Draws one random change of exposure, contrast and saturation.

    The change works on each pixel alone, so that it may be applied to a crop or to the whole photo
    with the same outcome.

    Args:
      rng: where the chance comes from.
      exposure: largest change in stops, of linear light.
      contrast: largest relative change of the distance from mid-grey (0.5).
      saturation: largest relative change of the distance from the pixel's own luma.

    Returns:
      A function from float images `[..., 3]` to float images in [0, 1].
    """
    stops = rng.uniform(-exposure, exposure)
    gain = 1.0 + rng.uniform(-contrast, contrast)
    chroma = 1.0 + rng.uniform(-saturation, saturation)

    def change(image):
        if exposure:
            image = color.linear_to_srgb(color.srgb_to_linear(image) * image.dtype.type(2.0**stops))
        if contrast:
            image = (image - 0.5) * image.dtype.type(gain) + 0.5
        if saturation:
            luma = color.luminance(image)[..., None]
            image = luma + (image - luma) * image.dtype.type(chroma)
        return np.clip(image, 0.0, 1.0)

    return change


def _change(element, members, change):
    return element | {member: change(element[member]) for member in members}


def _room(element, size, members):
    sizes = [element[member].shape[:2] for member in members]
    if len(set(sizes)) > 1:
        told = " and ".join(f"{height} x {width}" for height, width in sizes)
        raise ValueError(
            f"the photos of pair {element.get('name', '')!r} must have one size: {told}"
        )
    height, width = sizes[0]
    crop_height, crop_width = (size, size) if np.ndim(size) == 0 else size
    if crop_height > height or crop_width > width:
        raise ValueError(
            f"photo {element.get('name', '')!r} of {height} x {width} pixels is smaller than "
            f"the crop of {crop_height} x {crop_width}"
        )
    return (height, width), (int(crop_height), int(crop_width))


def _cut(element, top, left, crop_height, crop_width, members):
    window = np.array((top, left, *element[members[0]].shape[:2]), np.int32)
    rows, columns = slice(top, top + crop_height), slice(left, left + crop_width)
    return _change(element, members, lambda pixels: pixels[rows, columns]) | {"window": window}

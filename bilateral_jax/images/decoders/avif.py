"""AVIF, by libavif within Pillow; 10 and 12 bits by that within imagecodecs, which keeps them."""

from __future__ import annotations

import numpy as np

from bilateral_jax import pixels as pixels_lib
from bilateral_jax.images import exif as exif_lib
from bilateral_jax.images import headers, metadata, profiles
from bilateral_jax.images.decoders import heif_boxes


def plan(file, *, first_frame: bool) -> headers.Plan:
    """Prepares the decoding of an AVIF file.

    Args:
      file: open for reading bytes; it must stay open until the pixels are decoded.
      first_frame: accept several frames or pages, and take the first.

    Returns:
      The plan.

    Raises:
      ValueError: as `plans.plan`.
      ImportError: a package that the format needs is not installed.
    """
    import PIL.AvifImagePlugin

    found = heif_boxes.properties(file)
    file.seek(0)
    image = PIL.AvifImagePlugin.AvifImageFile(file)
    headers.check_frames(image.n_frames, first_frame=first_frame)
    profile = image.info.get("icc_profile") or heif_boxes.profile(found)
    # Pillow puts the turn that the file asks for into the EXIF block.
    attributes, orientation = metadata.upright(metadata.of_pillow(image))
    bits = heif_boxes.av1_bits(found)
    if bits > 8 and image.n_frames > 1:
        raise ValueError(f"it is an animation of {bits} bits; 8 bits are supported")

    def decode():
        stored = np.asarray(image) if bits == 8 else pixels_lib.widen(_decode(file), bits)
        return profiles.make_photo(exif_lib.turn(stored, orientation), profile, **attributes)

    return headers.Plan(headers.upright(*image.size, orientation, 8 if bits == 8 else 16), decode)


def _decode(file):
    import imagecodecs

    file.seek(0)
    try:
        # Its option `index` writes behind its memory where a file holds several frames.
        return imagecodecs.avif_decode(file.read())
    except imagecodecs.AvifError as error:
        raise ValueError(f"its data are damaged or truncated ({error})") from error

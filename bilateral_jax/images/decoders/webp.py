"""WebP, by Pillow."""

from __future__ import annotations

import os

import numpy as np

from bilateral_jax.images import exif as exif_lib
from bilateral_jax.images import headers, metadata, profiles

_RIFF_HEADER = 8  # bytes, which the size in it does not count


def plan(file, *, first_frame: bool) -> headers.Plan:
    """Prepares the decoding of a WebP file.

    Args:
      file: open for reading bytes; it must stay open until the pixels are decoded.
      first_frame: accept several frames or pages, and take the first.

    Returns:
      The plan.

    Raises:
      ValueError: as `plans.plan`.
      ImportError: a package that the format needs is not installed.
    """
    import PIL.WebPImagePlugin

    size = file.seek(0, os.SEEK_END)
    file.seek(4)
    if size < int.from_bytes(file.read(4), "little") + _RIFF_HEADER:
        raise ValueError("its data are truncated")
    file.seek(0)
    image = PIL.WebPImagePlugin.WebPImageFile(file)
    headers.check_frames(image.n_frames, first_frame=first_frame)
    attributes, orientation = metadata.upright(metadata.of_pillow(image))
    mode = "RGB" if image.mode in ("RGB", "RGBX") else "RGBA"

    def decode():
        stored = exif_lib.turn(np.asarray(image.convert(mode)), orientation)
        return profiles.make_photo(stored, image.info.get("icc_profile"), **attributes)

    return headers.Plan(headers.upright(*image.size, orientation, 8), decode)

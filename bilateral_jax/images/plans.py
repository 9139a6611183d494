"""Plans to decode image files: the one place that decides which files can be read, and how."""

from __future__ import annotations

import os

from bilateral_jax.images import formats, headers
from bilateral_jax.images.decoders import avif, bmp, gif, heif, jpeg, png, raw, tiff, webp

_DECODERS = {
    "jpeg": jpeg.plan,
    "png": png.plan,
    "bmp": bmp.plan,
    "tiff": tiff.plan,
    "webp": webp.plan,
    "avif": avif.plan,
    "heif": heif.plan,
    "gif": gif.plan,
    "raw": raw.plan,
}


def plan(file, *, max_pixels: int | None, first_frame: bool) -> headers.Plan:
    """Recognises an image file, checks its header and prepares its decoding.

    Args:
      file: open for reading bytes; it must stay open until the pixels are decoded.
      max_pixels: larger images are refused; None for the limits of `formats.check_size`.
      first_frame: accept several frames or pages, and take the first.

    Returns:
      The plan.

    Raises:
      ValueError: the file is empty, of an unknown format, depth or colour space, too large,
        truncated, or of several frames; a damaged header may also raise other
        exceptions of the parsers.
      ImportError: a package that the format needs is not installed.
    """
    decoder = _DECODERS[formats.recognise(file)]
    found = decoder(file, first_frame=first_frame)
    size = file.seek(0, os.SEEK_END)
    header = found.header
    formats.check_size(header.width, header.height, file_size=size, max_pixels=max_pixels)
    return found

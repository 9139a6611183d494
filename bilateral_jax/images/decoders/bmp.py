"""BMP, by Pillow."""

from __future__ import annotations

import os

import numpy as np

from bilateral_jax.images import headers, metadata
from bilateral_jax.images import photo as photo_lib

# Pillow's modes of BMP files, and what they are converted to.
_MODES = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGBA"}


def plan(file, *, first_frame: bool) -> headers.Plan:
    """Prepares the decoding of a BMP file.

    Args:
      file: open for reading bytes; it must stay open until the pixels are decoded.
      first_frame: accept several frames or pages, and take the first.

    Returns:
      The plan.

    Raises:
      ValueError: as `plans.plan`.
      ImportError: a package that the format needs is not installed.
    """
    del first_frame  # there are no further ones
    import PIL.BmpImagePlugin

    size = file.seek(0, os.SEEK_END)
    file.seek(2)
    if size < int.from_bytes(file.read(4), "little"):
        raise ValueError("its data are truncated")
    file.seek(0)
    image = PIL.BmpImagePlugin.BmpImageFile(file)
    if image.mode not in _MODES:
        raise ValueError(f"its colours are {image.mode}; RGB and grey are supported")
    mode, attributes = _MODES[image.mode], metadata.of_pillow(image)

    def decode():
        image.load()
        palette = bytes(image.getpalette() or ()) if image.mode == "P" else None
        stored = np.asarray(image.convert(mode))
        if palette and photo_lib.is_grey_palette(palette):
            stored = stored[..., 0]
        return photo_lib.from_channels(stored, **attributes)

    return headers.Plan(headers.Header(image.height, image.width, 8), decode)

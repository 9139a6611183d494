"""GIF, by Pillow."""

from __future__ import annotations

import numpy as np

from bilateral_jax.images import headers, metadata
from bilateral_jax.images import photo as photo_lib


def plan(file, *, first_frame: bool) -> headers.Plan:
    """Prepares the decoding of a GIF file.

    Args:
      file: open for reading bytes; it must stay open until the pixels are decoded.
      first_frame: accept several frames or pages, and take the first.

    Returns:
      The plan.

    Raises:
      ValueError: as `plans.plan`.
      ImportError: a package that the format needs is not installed.
    """
    import PIL.GifImagePlugin

    image = PIL.GifImagePlugin.GifImageFile(file)
    headers.check_frames(image.n_frames, first_frame=first_frame)  # counting reads the whole file
    attributes = metadata.of_pillow(image)
    transparent = "transparency" in image.info

    def decode():
        image.load()
        palette = bytes(image.getpalette() or ()) if image.mode == "P" else b""
        grey = image.mode in ("1", "L", "P") and photo_lib.is_grey_palette(palette)
        stored = np.asarray(image.convert("RGBA" if transparent else "RGB"))
        stored = stored[..., ::3] if grey else stored  # red, and alpha
        return photo_lib.from_channels(stored, **attributes)

    # A GIF cut short decodes to fewer rows; only decoding tells.
    return headers.Plan(headers.Header(image.height, image.width, 8), decode, complete=False)

"""TIFF with YCbCr colours outside of JPEG, whose chroma may be subsampled: by libtiff in OpenCV."""

from __future__ import annotations

import struct

import numpy as np

from bilateral_jax.images import exif as exif_lib


def check(tiff, page) -> None:
    """Refuses pages that libtiff's conversion to RGB does not reach.

    Args:
      tiff: `tifffile.TiffFile`.
      page: of it.

    Raises:
      ValueError: the page is not the first, or has an alpha channel.
      ImportError: OpenCV is not installed.
    """
    import cv2  # noqa: F401, so that its absence is found before decoding

    if page.offset != tiff.pages[0].offset or page.samplesperpixel != 3:
        raise ValueError("its YCbCr colours stand behind another image or beside other channels")


def decode(file, page) -> np.ndarray:
    """Decodes the first page.

    Args:
      file: open for reading bytes.
      page: `tifffile.TiffPage`, the first.

    Returns:
      uint8 `[h, w, 3]` RGB as stored, not turned.

    Raises:
      ValueError: the data are damaged.
    """
    import cv2

    file.seek(0)
    encoded = bytearray(file.read())
    # Only some OpenCV versions apply the orientation, so it is reset.
    tag = page.tags.get(exif_lib.ORIENTATION)
    if tag is not None:
        struct.pack_into(page.parent.byteorder + "H", encoded, tag.valueoffset, 1)
    try:
        pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(str(error).strip()) from error
    if pixels is None or pixels.shape != (page.imagelength, page.imagewidth, 3):
        raise ValueError("its data are damaged or stored in an unsupported way")
    return pixels[..., ::-1]

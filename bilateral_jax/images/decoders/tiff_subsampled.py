"""TIFF with YCbCr colours outside of JPEG, whose chroma may be subsampled: by libtiff in OpenCV."""

from __future__ import annotations

import math
import struct

import numpy as np

from bilateral_jax.images import exif as exif_lib

_COMPRESSIONS = (1, 5, 8, 32773, 32946)  # none, LZW, deflate, PackBits, old deflate


def check(tiff, page) -> None:
    """Refuses pages that libtiff's conversion to RGB does not reach.

    Args:
      tiff: `tifffile.TiffFile`.
      page: of it.

    Raises:
      ValueError: the page is not the first, has an alpha channel or a compression beyond the usual.
      ImportError: OpenCV is not installed.
    """
    import cv2  # noqa: F401, so that its absence is found before decoding

    if page.offset != tiff.pages[0].offset or page.samplesperpixel != 3:
        raise ValueError("its YCbCr colours stand behind another image or beside other channels")
    if page.compression not in _COMPRESSIONS:
        raise ValueError(f"its YCbCr colours are compressed by {page.compression!r}")


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

    _check_lengths(page)
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


def _check_lengths(page):
    """Decompresses every strip or tile: libtiff fills in what is missing."""
    import tifffile

    across, down = page.subsampling or (2, 2)  # TIFF's default
    rows, columns = (
        (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    )
    decompress = tifffile.TIFF.DECOMPRESSORS[page.compression]
    for number, (start, count) in enumerate(zip(page.dataoffsets, page.databytecounts)):
        page.parent.filehandle.seek(start)
        found = page.parent.filehandle.read(count)
        found = found if page.compression == 1 else decompress(found)
        left = rows if page.is_tiled else min(rows, page.imagelength - number * rows)
        # A block of luma samples, and one sample each of the two chroma channels.
        blocks = math.ceil(columns / across) * math.ceil(left / down)
        if len(found) < blocks * (across * down + 2):
            raise ValueError("its data are truncated: strips or tiles are too short")

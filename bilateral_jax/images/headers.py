"""What a picture file says of itself before its pixels: size, depth, and whether its end is there.

Receives open files from `images`.
Hands headers back to `images`.
"""

from __future__ import annotations

import dataclasses
import os

from bilateral_jax.images import codecs
from bilateral_jax.images import exif as exif_block

_ORIENTATION = 274


@dataclasses.dataclass(frozen=True)
class Header:
    """Size and depth of a picture.

    Attributes:
      height: in pixels, upright.
      width: in pixels, upright.
      bits: 8 or 16 per channel.
    """

    height: int
    width: int
    bits: int


def unknown(head: bytes) -> str:
    """Says what is wrong with a file of no known format.

    Args:
      head: its first bytes.

    Returns:
      The reason, as part of a sentence about "it".
    """
    return "it is empty" if not head else "it is not a JPEG, PNG, TIFF or BMP file"


def parse(file, max_pixels: int) -> tuple[Header, bool]:
    """Reads the head of a file and looks at its end.

    Args:
      file: open for reading bytes, at its start.
      max_pixels: the most that is accepted.

    Returns:
      (The header, whether the end of the file is certainly there.)

    Raises:
      ValueError: the file is empty, of no known kind or depth, too large, or cut off; or whatever
        the parsers of a broken head stumble over, see `images`.
    """
    head = file.read(32)
    kind = codecs.kind(head)
    if kind is None:
        raise ValueError(unknown(head))
    file.seek(0)
    _, pillow, tifffile = codecs.packages()
    if kind == "tiff":
        return _tiff(file, tifffile, max_pixels), True
    classes = {
        "jpeg": pillow.JpegImagePlugin.JpegImageFile,
        "png": pillow.PngImagePlugin.PngImageFile,
        "bmp": pillow.BmpImagePlugin.BmpImageFile,
    }
    with classes[kind](file) as image:
        codecs.check_size(*image.size, max_pixels)
        codecs.check_mode(image, wide=kind == "png" and head[24] == 16)
        notes = exif_block.from_png(file) if kind == "png" else image.info.get("exif")
        orientation = exif_block.reset_orientation(notes)[1] if notes else 1
        bits = 16 if kind == "png" and head[24] == 16 else 8
        return _upright(image.size, orientation, bits), kind == "png" or _ends(file, kind, head)


def _tiff(file, tifffile, max_pixels):
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages[0]
        codecs.check_size(page.imagewidth, page.imagelength, max_pixels)
        if page.bitspersample not in (1, 8, 16) or (
            page.dtype is not None and page.dtype.kind in "fic"
        ):
            raise ValueError(f"its samples are {page.dtype}; 8 and 16 bit are supported")
        size = file.seek(0, os.SEEK_END)
        ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts)]
        if max(ends, default=size + 1) > size:
            raise ValueError("its data are truncated")
        orientation = page.tags.valueof(_ORIENTATION, default=1)
        extent = (page.imagewidth, page.imagelength)
        return _upright(extent, orientation, 16 if page.bitspersample == 16 else 8)


def _upright(size, orientation, bits):
    width, height = size[::-1] if orientation in (5, 6, 7, 8) else size
    return Header(height, width, bits)


def _ends(file, kind, head):
    """Whether a JPEG file ends with its end marker, a BMP file where its head says."""
    size = file.seek(0, os.SEEK_END)
    if kind == "bmp":
        if size < int.from_bytes(head[2:6], "little"):
            raise ValueError("its data are truncated")
        return True
    file.seek(max(0, size - 64))
    return file.read().rstrip(b"\x00").endswith(b"\xff\xd9")

"""Size and bit depth of an image file without decoding it, and whether it is complete."""

from __future__ import annotations

import dataclasses
import os

from bilateral_jax.images import color_tags, formats, png_chunks
from bilateral_jax.images import exif as exif_lib


@dataclasses.dataclass(frozen=True)
class Header:
    """Size and bit depth of an image.

    Attributes:
      height: in pixels, upright.
      width: in pixels, upright.
      bits: 8 or 16 per channel.
    """

    height: int
    width: int
    bits: int


def parse(file, max_pixels: int) -> tuple[Header, bool]:
    """Reads the header of a file and checks its end.

    Args:
      file: open for reading bytes.
      max_pixels: larger images are refused.

    Returns:
      (The header, whether the file is certainly complete.)

    Raises:
      ValueError: the file is empty, of an unknown format or depth, too large, or truncated; a
        damaged header may also raise whatever the parser stumbles over.
      ImportError: a package that the format needs is not installed.
    """
    kind = formats.recognise(file)
    with formats.explain_missing_packages():
        if kind == "tiff":
            return _tiff(file, max_pixels), True
        if kind == "png":
            return _png(file, max_pixels), True
        return _jpeg_or_bmp(file, kind, max_pixels)


def _png(file, max_pixels):
    import PIL.PngImagePlugin

    file.seek(24)
    bits = 16 if file.read(1)[0] == 16 else 8
    file.seek(0)
    chunks = png_chunks.read(file)
    file.seek(0)
    with PIL.PngImagePlugin.PngImageFile(file) as image:
        formats.check_size(*image.size, max_pixels)
        formats.check_mode(image, bits=bits)
        color_tags.from_png(chunks, grey=image.mode in ("1", "L", "LA", "I;16", "I"))
        exif = png_chunks.attributes(chunks)["exif"]
        return _upright(image.size, _orientation(exif), bits)


def _jpeg_or_bmp(file, kind, max_pixels):
    import PIL.BmpImagePlugin
    import PIL.JpegImagePlugin

    classes = {
        "jpeg": PIL.JpegImagePlugin.JpegImageFile,
        "bmp": PIL.BmpImagePlugin.BmpImageFile,
    }
    with classes[kind](file) as image:
        formats.check_size(*image.size, max_pixels)
        formats.check_mode(image)
        header = _upright(image.size, _orientation(image.info.get("exif")), 8)
        return header, _has_end(file, kind)


def _tiff(file, max_pixels):
    import tifffile

    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages[0]
        formats.check_size(page.imagewidth, page.imagelength, max_pixels)
        if page.bitspersample not in (1, 8, 16) or (
            page.dtype is not None and page.dtype.kind in "fic"
        ):
            raise ValueError(f"its samples are {page.dtype}; 8 and 16 bit are supported")
        size = file.seek(0, os.SEEK_END)
        ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts)]
        if max(ends, default=size + 1) > size:
            raise ValueError("its data are truncated")
        orientation = page.tags.valueof(exif_lib.ORIENTATION, default=1)
        extent = (page.imagewidth, page.imagelength)
        return _upright(extent, orientation, 16 if page.bitspersample == 16 else 8)


def _orientation(exif):
    return exif_lib.reset_orientation(exif)[1] if exif else 1


def _upright(size, orientation, bits):
    width, height = size[::-1] if orientation in (5, 6, 7, 8) else size
    return Header(height, width, bits)


def _has_end(file, kind):
    """Checks that a JPEG file has its end marker, a BMP file the size in its header."""
    size = file.seek(0, os.SEEK_END)
    if kind == "bmp":
        file.seek(2)
        if size < int.from_bytes(file.read(4), "little"):
            raise ValueError("its data are truncated")
        return True
    file.seek(max(0, size - 64))
    return file.read().rstrip(b"\x00").endswith(b"\xff\xd9")

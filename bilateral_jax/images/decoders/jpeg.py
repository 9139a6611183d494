"""JPEG, by libjpeg-turbo within simplejpeg, which tells what libjpeg warns of.

Pillow parses the header: size, colour space, profile and EXIF.
"""

from __future__ import annotations

import os

import numpy as np

from bilateral_jax.images import color_tags, headers, jpeg_segments, metadata, profiles
from bilateral_jax.images import exif as exif_lib

_COLORS = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
# Parts of libjpeg's warnings that mean lost pixels. The others (bytes between the segments, an
# unknown version, an odd order of progressive scans) do not.
_DAMAGE = ("remature end", "bad Huffman", "bad arithmetic", "instead of RST")


def plan(file, *, first_frame: bool) -> headers.Plan:
    """Prepares the decoding of a JPEG file.

    Args:
      file: open for reading bytes; it must stay open until the pixels are decoded.
      first_frame: accept several frames or pages, and take the first.

    Returns:
      The plan.

    Raises:
      ValueError: as `plans.plan`.
      ImportError: a package that the format needs is not installed.
    """
    del first_frame  # the first image of a multi-picture file is the photo
    import PIL.JpegImagePlugin

    # The plug-in's own class does not apply the size limit of PIL.Image.open (179 MP), which is
    # global state.
    image = PIL.JpegImagePlugin.JpegImageFile(file)
    if image.mode not in _COLORS:
        raise ValueError(f"its colours are {image.mode}; RGB, grey and CMYK are supported")
    profile = image.info.get("icc_profile")
    if image.mode == "CMYK":
        profiles.check_convertible(profile, "CMYK")
    attributes = metadata.of_pillow(image)
    attributes["xmp_extension"] = jpeg_segments.extended_xmp(image.applist, attributes["xmp"])
    attributes, orientation = metadata.upright(attributes)
    notes = [profiles.CONVERSION_NOTE.format("CMYK")] if image.mode == "CMYK" else []
    if "mp" in image.info:
        notes.append("further pictures in the file (MPO: previews, gain maps, ...) are left out")
    if image.mode == "RGB" and not profile:
        profile = color_tags.from_exif(attributes["exif"])
    attributes["notes"] = tuple(notes)
    header = headers.upright(*image.size, orientation, 8)

    def decode():
        stored = _decode(file, image)
        if image.mode == "CMYK":
            stored = profiles.to_srgb(stored, profile)
        return profiles.make_photo(exif_lib.turn(stored, orientation), profile, **attributes)

    return headers.Plan(header, decode, complete=_has_end(file))


def decode_strictly(content: bytes, colors: str):
    """Decodes JPEG data, refusing what libjpeg would fill with grey.

    Args:
      content: from the start marker to the end marker.
      colors: "RGB", "GRAY" or "CMYK"; the latter as stored, inverted: 255 is no ink.

    Returns:
      uint8 `[h, w, c]`; None where libjpeg warns of something else or simplejpeg does not know the
      sampling of the channels.

    Raises:
      ValueError: the data are damaged or truncated.
      ImportError: simplejpeg is not installed.
    """
    import simplejpeg

    try:
        return simplejpeg.decode_jpeg(content, colors, strict=True)
    except ValueError as error:
        if any(words in str(error) for words in _DAMAGE):
            raise ValueError(f"its data are damaged or truncated ({error})") from error
        return None


def _decode(file, image):
    file.seek(0)
    stored = decode_strictly(file.read(), _COLORS[image.mode])
    if stored is None:
        image.load()
        return np.asarray(image)
    return 255 - stored if image.mode == "CMYK" else stored


def _has_end(file):
    """Whether the file ends with an end marker; other data may follow it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 64))
    return file.read().rstrip(b"\x00").endswith(b"\xff\xd9")

"""Decoders of the image formats, each with the package that handles it exactly.

JPEG, BMP and 8-bit PNG: Pillow (it detects truncated files and does not blend alpha). 16-bit PNG
and most TIFF: OpenCV (Pillow has no 16-bit colour). TIFF metadata: tifffile. Each decoder imports
the packages that it needs.
"""

from __future__ import annotations

import struct

import numpy as np

from bilateral_jax.images import color_tags, formats, jpeg_segments, metadata, png_chunks, tiff_tags
from bilateral_jax.images import exif as exif_lib
from bilateral_jax.images import photo as photo_lib

_ICC = 34675  # TIFF tag


def decode(file, *, label, max_pixels: int) -> photo_lib.Photo:
    """Decodes an image file.

    Args:
      file: open for reading bytes.
      label: the file's name in warnings.
      max_pixels: larger images are refused before they are decoded.

    Returns:
      The photo, upright.

    Raises:
      ValueError: the file is empty, of another format, too large or damaged; a damaged file may
        also raise whatever the decoder stumbles over.
      ImportError: a package that the format needs is not installed.
    """
    decoder = _DECODERS[formats.recognise(file)]
    with formats.explain_missing_packages():
        return decoder(file, label, max_pixels)


def _read_jpeg(file, label, max_pixels):
    import PIL.JpegImagePlugin

    # The plug-in's own class does not apply the size limit of PIL.Image.open (179 MP), which is
    # global state.
    with PIL.JpegImagePlugin.JpegImageFile(file) as image:
        attributes = metadata.of_pillow(image)
        attributes["xmp_extension"] = jpeg_segments.extended_xmp(image.applist, attributes["xmp"])
        return _from_pillow(image, max_pixels, **attributes)


def _read_bmp(file, label, max_pixels):
    import PIL.BmpImagePlugin

    with PIL.BmpImagePlugin.BmpImageFile(file) as image:
        return _from_pillow(image, max_pixels, **metadata.of_pillow(image))


def _read_png(file, label, max_pixels):
    import PIL.PngImagePlugin

    file.seek(24)
    bits = file.read(1)[0]
    # Before decoding: this detects truncated files, which some OpenCV versions pad silently.
    chunks = png_chunks.read(file)
    file.seek(0)
    with PIL.PngImagePlugin.PngImageFile(file) as image:
        grey = image.mode in ("1", "L", "LA", "I;16", "I")
        profile = color_tags.from_png(chunks, grey=grey)
        attributes = png_chunks.attributes(chunks)
        if bits != 16:
            return _from_pillow(image, max_pixels, icc_profile=profile, **attributes)
        formats.check_size(*image.size, max_pixels)
    # Pillow would reduce the samples to 8 bits.
    pixels = _decode_with_opencv(_content(file), "its data are broken")
    return upright(_three_channels(pixels), icc_profile=profile, **attributes)


def _from_pillow(image, max_pixels, **attributes):
    formats.check_size(*image.size, max_pixels)
    formats.check_mode(image)
    image.load()
    pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    return upright(pixels, **{"icc_profile": image.info.get("icc_profile")} | attributes)


def _read_tiff(file, label, max_pixels):
    import tifffile

    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages[0]
        formats.check_size(page.imagewidth, page.imagelength, max_pixels)
        profile = page.tags.valueof(_ICC)
        orientation = page.tags.valueof(exif_lib.ORIENTATION, default=1)
        if page.samplesperpixel in (2, 4) and page.bitspersample == 8:
            # OpenCV would multiply the colours by the alpha here.
            stored = page.asarray()
            stored = np.moveaxis(stored, 0, -1) if page.planarconfig == 2 else stored
            pixels = _three_channels(stored[..., [2, 1, 0]] if stored.shape[-1] == 4 else stored)
        else:
            pixels = _three_channels(_decode_tiff(file, page, tiff.byteorder))
        attributes = tiff_tags.attributes(file, page)
    exif = exif_lib.if_readable(label, exif_lib.from_tiff, file)
    return upright(pixels, orientation=orientation, icc_profile=profile, exif=exif, **attributes)


def _decode_tiff(file, page, byteorder):
    """Decodes pixels as stored; only some OpenCV versions apply the orientation, so it is reset."""
    encoded = _content(file)
    tag = page.tags.get(exif_lib.ORIENTATION)
    if tag is not None:
        encoded[tag.valueoffset : tag.valueoffset + 2] = np.frombuffer(
            struct.pack(byteorder + "H", 1), np.uint8
        )
    reason = "its data are truncated, broken or stored in an unsupported way"
    return _decode_with_opencv(encoded, reason)


def _content(file):
    file.seek(0)
    return np.frombuffer(bytearray(file.read()), np.uint8)


def _decode_with_opencv(encoded, reason):
    import cv2

    try:
        pixels = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(str(error).strip()) from error
    if pixels is None or pixels.size == 0:
        raise ValueError(reason)
    return pixels


def _three_channels(pixels):
    """Converts OpenCV's layout (grey, or blue green red and perhaps alpha) to RGB."""
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"its samples are {pixels.dtype}; 8 and 16 bit are supported")
    if pixels.ndim == 3 and pixels.shape[-1] in (3, 4):
        return np.ascontiguousarray(pixels[..., 2::-1])
    # Grey, or grey and alpha.
    grey = pixels if pixels.ndim == 2 else pixels[..., 0]
    return np.repeat(grey[..., None], 3, axis=-1)


def upright(stored, *, orientation=None, **attributes) -> photo_lib.Photo:
    """Makes a photo of pixels as stored: applies their orientation and resets it in the metadata.

    Args:
      stored: 1, 2, 3 or 4 channels, as `photo.from_channels` takes them.
      orientation: EXIF code; None for that of the EXIF block.
      **attributes: the other attributes of `Photo`, as the file has them.

    Returns:
      The photo.
    """
    exif = attributes.pop("exif", None)
    if exif:
        exif, in_exif = exif_lib.reset_orientation(exif)
        orientation = in_exif if orientation is None else orientation
    if orientation not in (None, 1):
        attributes["xmp"] = metadata.upright_xmp(attributes.get("xmp"))
        if orientation in (5, 6, 7, 8) and attributes.get("resolution"):
            attributes["resolution"] = attributes["resolution"][::-1]
    attributes["icc_profile"] = _rgb_profile(attributes.get("icc_profile"))
    pixels = exif_lib.turn(stored, orientation)
    return photo_lib.from_channels(pixels, exif=exif, **attributes)


def _rgb_profile(profile):
    """Drops a profile that does not describe RGB, such as a grey image's."""
    return bytes(profile) if profile and bytes(profile[16:20]) == b"RGB " else None


_DECODERS = {"jpeg": _read_jpeg, "png": _read_png, "bmp": _read_bmp, "tiff": _read_tiff}

"""The three picture formats, each through the package that does it exactly.

JPEG and 8-bit PNG go through Pillow (it notices truncated files and does not merge alpha), 16-bit
PNG and most TIFF through OpenCV (Pillow has no 16-bit colour), TIFF metadata and writing through
tifffile.

Receives paths and pixels from `images`.
Hands pixels, profiles and EXIF blocks back to `images`.
"""

from __future__ import annotations

import struct
import warnings
import zlib

import numpy as np

from bilateral_jax import exif as exif_block

_ORIENTATION, _ICC = 274, 34675
_PNG_HEADER = 33  # bytes of the signature and the first chunk


def packages():
    """Imports what the codecs need; done late, so that using arrays alone needs none of it.

    Returns:
      The modules cv2, PIL and tifffile.

    Raises:
      ImportError: one of them is not installed.
    """
    try:
        import cv2
        import PIL.Image
        import PIL.JpegImagePlugin
        import PIL.PngImagePlugin
        import tifffile
    except ImportError as error:
        raise ImportError(
            f"picture files need {error.name}, which is not installed: "
            'pip install "bilateral_jax[images]"'
        ) from error
    return cv2, PIL, tifffile


def decoder(head: bytes):
    """Chooses by content.

    Args:
      head: the first bytes of a file, at least 12 of them.

    Returns:
      A function (path, head, max_pixels, cv2, PIL, tifffile) -> (upright pixels, profile, EXIF
      block), or None for an unknown format.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return _read_jpeg
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _read_png
    if head[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return _read_tiff
    return None


def encoder(suffix: str):
    """Chooses by suffix.

    Args:
      suffix: in small letters, one of `images.SUFFIXES`.

    Returns:
      A function (path, pixels, profile, EXIF block, quality, cv2, PIL, tifffile) that writes a new
      file.
    """
    if suffix in (".jpg", ".jpeg"):
        return _write_jpeg
    return _write_png if suffix == ".png" else _write_tiff


def _check_size(width, height, max_pixels):
    if width * height > max_pixels:
        raise ValueError(f"{width} x {height} pixels are more than the limit of {max_pixels}")


def _read_jpeg(path, head, max_pixels, cv2, PIL, tifffile):
    # The plug-in's own class does not apply the bomb limit of PIL.Image.open (179 MP), which is
    # global state.
    with PIL.JpegImagePlugin.JpegImageFile(path) as image:
        return _from_pillow(image, max_pixels)


def _read_png(path, head, max_pixels, cv2, PIL, tifffile):
    with PIL.PngImagePlugin.PngImageFile(path) as image:
        if head[24] != 16:
            return _from_pillow(image, max_pixels)
        _check_size(*image.size, max_pixels)
        profile = image.info.get("icc_profile")
    # Pillow would cut the samples down to 8 bits. The walk over the chunks comes first, because
    # some OpenCV versions fill up a truncated picture in silence.
    exif = exif_block.from_png(path)
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.size == 0:
        raise ValueError("its data are broken")
    return _upright(_three_channels(pixels), profile, exif)


def _from_pillow(image, max_pixels):
    _check_size(*image.size, max_pixels)
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
        raise ValueError(f"its colours are {image.mode}; RGB and grey are supported")
    image.load()
    pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    return _upright(pixels, image.info.get("icc_profile"), image.info.get("exif"))


def _read_tiff(path, head, max_pixels, cv2, PIL, tifffile):
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        _check_size(page.imagewidth, page.imagelength, max_pixels)
        profile = page.tags.valueof(_ICC)
        orientation = page.tags.valueof(_ORIENTATION, default=1)
        if page.samplesperpixel in (2, 4) and page.bitspersample == 8:
            # OpenCV would multiply the colours by the alpha here.
            stored = page.asarray()
            stored = np.moveaxis(stored, 0, -1) if page.planarconfig == 2 else stored
            pixels = _three_channels(stored[..., [2, 1, 0]] if stored.shape[-1] == 4 else stored)
        else:
            pixels = _three_channels(_decode_tiff(path, page, tiff.byteorder, cv2))
    notes = _if_readable(path, exif_block.from_tiff, path)
    return exif_block.turn(pixels, orientation), _rgb_profile(profile), notes


def _decode_tiff(path, page, byteorder, cv2):
    """Lets OpenCV decode, as stored: some of its versions turn a TIFF upright and some do not."""
    encoded = np.fromfile(path, np.uint8)
    tag = page.tags.get(_ORIENTATION)
    if tag is not None:
        encoded[tag.valueoffset : tag.valueoffset + 2] = np.frombuffer(
            struct.pack(byteorder + "H", 1), np.uint8
        )
    pixels = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.size == 0:
        raise ValueError("its data are truncated, broken or stored in an unsupported way")
    return pixels


def _three_channels(pixels):
    """Turns OpenCV's layout (grey, or blue green red and perhaps alpha) into ours."""
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"its samples are {pixels.dtype}; 8 and 16 bit are supported")
    if pixels.ndim == 3 and pixels.shape[-1] in (3, 4):
        return np.ascontiguousarray(pixels[..., 2::-1])
    # Grey, or grey and alpha.
    grey = pixels if pixels.ndim == 2 else pixels[..., 0]
    return np.repeat(grey[..., None], 3, axis=-1)


def _upright(pixels, profile, exif):
    """Applies the orientation that the EXIF block asks for and takes the request out of it."""
    orientation = 1
    if exif:
        exif, orientation = exif_block.reset_orientation(exif)
    return exif_block.turn(pixels, orientation), _rgb_profile(profile), exif or None


def _rgb_profile(profile):
    """Drops a profile that does not describe three colours, such as a grey picture's."""
    return bytes(profile) if profile and bytes(profile[16:20]) == b"RGB " else None


def _if_readable(path, function, *arguments):
    """Calls what reads camera notes; notes that make no sense are left out, with a warning."""
    try:
        return function(*arguments)
    except (SyntaxError, ValueError, LookupError, TypeError, struct.error) as error:
        warnings.warn(f"{path}: unreadable EXIF notes are left out ({error})", stacklevel=5)
        return None


def _write_jpeg(path, pixels, icc_profile, exif, quality, cv2, PIL, tifffile):
    blocks = {"icc_profile": icc_profile, "exif": exif}
    blocks = {name: block for name, block in blocks.items() if block}
    image = PIL.Image.fromarray(pixels)
    with open(path, "xb") as file:
        image.save(file, "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2, **blocks)


def _write_png(path, pixels, icc_profile, exif, quality, cv2, PIL, tifffile):
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))
    if not done:
        raise OSError(f"cannot write {path}: OpenCV could not encode it")
    with open(path, "xb") as file:
        file.write(encoded[:_PNG_HEADER])
        if icc_profile:
            file.write(exif_block.png_chunk(b"iCCP", b"ICC\0\0" + zlib.compress(icc_profile)))
        if exif:
            file.write(exif_block.png_chunk(b"eXIf", exif.removeprefix(exif_block.HEADER)))
        file.write(encoded[_PNG_HEADER:])


def _write_tiff(path, pixels, icc_profile, exif, quality, cv2, PIL, tifffile):
    notes = _if_readable(path, exif_block.descriptions, exif) or {}
    tags = [(tag, "s", 0, text.encode(), True) for tag, text in notes.items()]
    big = pixels.nbytes > 1 << 31
    with tifffile.TiffWriter(path, bigtiff=big) as tiff:
        tiff.write(
            pixels,
            photometric="rgb",
            compression="zlib",
            predictor=True,
            rowsperstrip=64,
            metadata=None,
            software=False,
            iccprofile=icc_profile,
            extratags=tags,
        )
    if exif and not big:
        _if_readable(path, exif_block.append_to_tiff, path, exif)

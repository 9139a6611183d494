"""The picture formats, each through the package that does it exactly.

JPEG, BMP and 8-bit PNG go through Pillow (it notices truncated files and does not merge alpha),
16-bit PNG and most TIFF through OpenCV (Pillow has no 16-bit colour), TIFF metadata and writing
through tifffile. What a file says of itself before its pixels is read in `images/headers.py`.

Receives open files and pixels from `images`.
Hands pixels, profiles and EXIF blocks back to `images`.
"""

from __future__ import annotations

import struct
import warnings
import zlib

import numpy as np

from bilateral_jax.images import exif as exif_block

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
        import PIL.BmpImagePlugin
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
      A function (file, label, max_pixels, cv2, PIL, tifffile) -> (upright pixels, profile, EXIF
      block), where `file` is open for reading bytes and `label` names it in warnings; None for an
      unknown format.
    """
    readers = {"jpeg": _read_jpeg, "png": _read_png, "bmp": _read_bmp, "tiff": _read_tiff}
    return readers.get(kind(head))


def kind(head: bytes) -> str | None:
    """Tells the format by content.

    Args:
      head: the first bytes of a file, at least 12 of them.

    Returns:
      "jpeg", "png", "tiff", "bmp", or None for an unknown format.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "tiff"
    # Two letters are little to go by; the four reserved bytes behind the size are zero.
    return "bmp" if head[:2] == b"BM" and head[6:10] == bytes(4) else None


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


def check_mode(image, *, wide: bool = False) -> None:
    """Refuses colours that are neither RGB nor grey.

    Args:
      image: Pillow's image, opened.
      wide: the file holds 16 bits per channel, which Pillow names differently.

    Raises:
      ValueError: CMYK and the like.
    """
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA") and not wide:
        raise ValueError(f"its colours are {image.mode}; RGB and grey are supported")


def png(pixels, cv2) -> bytes:
    """Encodes pixels as PNG.

    Args:
      pixels: uint8 or uint16 `[h, w, 3]`.
      cv2: OpenCV.

    Returns:
      The content of a file.

    Raises:
      OSError: OpenCV could not.
    """
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))
    if not done:
        raise OSError("OpenCV could not encode a PNG file")
    return encoded.tobytes()


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuses a picture that is too large to be decoded.

    Args:
      width: in pixels.
      height: in pixels.
      max_pixels: the limit.

    Raises:
      ValueError: there are more pixels than that.
    """
    if width * height > max_pixels:
        raise ValueError(f"{width} x {height} pixels are more than the limit of {max_pixels}")


def _read_jpeg(file, label, max_pixels, cv2, PIL, tifffile):
    # The plug-in's own class does not apply the bomb limit of PIL.Image.open (179 MP), which is
    # global state.
    with PIL.JpegImagePlugin.JpegImageFile(file) as image:
        return _from_pillow(image, max_pixels)


def _read_bmp(file, label, max_pixels, cv2, PIL, tifffile):
    with PIL.BmpImagePlugin.BmpImageFile(file) as image:
        return _from_pillow(image, max_pixels)


def _read_png(file, label, max_pixels, cv2, PIL, tifffile):
    file.seek(24)
    depth = file.read(1)[0]
    file.seek(0)
    with PIL.PngImagePlugin.PngImageFile(file) as image:
        if depth != 16:
            return _from_pillow(image, max_pixels)
        check_size(*image.size, max_pixels)
        profile = image.info.get("icc_profile")
        # Pillow would cut the samples down to 8 bits. The walk over the chunks comes first,
        # because some OpenCV versions fill up a truncated picture in silence.
        exif = exif_block.from_png(file)
        pixels = cv2.imdecode(_content(file), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.size == 0:
        raise ValueError("its data are broken")
    return _upright(_three_channels(pixels), profile, exif)


def _content(file):
    file.seek(0)
    return np.frombuffer(bytearray(file.read()), np.uint8)


def _from_pillow(image, max_pixels):
    check_size(*image.size, max_pixels)
    check_mode(image)
    image.load()
    pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    return _upright(pixels, image.info.get("icc_profile"), image.info.get("exif"))


def _read_tiff(file, label, max_pixels, cv2, PIL, tifffile):
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages[0]
        check_size(page.imagewidth, page.imagelength, max_pixels)
        profile = page.tags.valueof(_ICC)
        orientation = page.tags.valueof(_ORIENTATION, default=1)
        if page.samplesperpixel in (2, 4) and page.bitspersample == 8:
            # OpenCV would multiply the colours by the alpha here.
            stored = page.asarray()
            stored = np.moveaxis(stored, 0, -1) if page.planarconfig == 2 else stored
            pixels = _three_channels(stored[..., [2, 1, 0]] if stored.shape[-1] == 4 else stored)
        else:
            pixels = _three_channels(_decode_tiff(file, page, tiff.byteorder, cv2))
    notes = _if_readable(label, exif_block.from_tiff, file)
    return exif_block.turn(pixels, orientation), _rgb_profile(profile), notes


def _decode_tiff(file, page, byteorder, cv2):
    """Lets OpenCV decode, as stored: some of its versions turn a TIFF upright and some do not."""
    encoded = _content(file)
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


def _if_readable(label, function, *arguments):
    """Calls what reads camera notes; notes that make no sense are left out, with a warning."""
    try:
        return function(*arguments)
    except (SyntaxError, ValueError, LookupError, TypeError, struct.error) as error:
        warnings.warn(f"{label}: unreadable EXIF notes are left out ({error})", stacklevel=5)
        return None


def _write_jpeg(path, pixels, icc_profile, exif, quality, cv2, PIL, tifffile):
    blocks = {"icc_profile": icc_profile, "exif": exif}
    blocks = {name: block for name, block in blocks.items() if block}
    image = PIL.Image.fromarray(pixels)
    with open(path, "xb") as file:
        image.save(file, "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2, **blocks)


def _write_png(path, pixels, icc_profile, exif, quality, cv2, PIL, tifffile):
    encoded = png(pixels, cv2)
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

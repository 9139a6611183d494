"""Decoders and encoders of the image formats, each with the package that handles it exactly.

JPEG, BMP and 8-bit PNG: Pillow (it detects truncated files and does not blend alpha). 16-bit PNG
and most TIFF: OpenCV (Pillow has no 16-bit colour). TIFF metadata and TIFF writing: tifffile. Each
codec imports the packages that it needs.
"""

from __future__ import annotations

import contextlib
import struct
import warnings
import zlib

import numpy as np

from bilateral_jax.images import exif as exif_lib

_ORIENTATION, _ICC = 274, 34675  # TIFF tags
_PNG_HEADER = 33  # bytes of the signature and the first chunk


def recognise(file) -> str:
    """Recognises the format of an image file by content.

    Args:
      file: open for reading bytes; it is rewound.

    Returns:
      "jpeg", "png", "tiff" or "bmp".

    Raises:
      ValueError: the file is empty or of another format.
    """
    file.seek(0)
    head = file.read(12)
    file.seek(0)
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "tiff"
    # Two letters are a weak signature; the four reserved bytes behind the size are zero.
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "bmp"
    raise ValueError("it is not a JPEG, PNG, TIFF or BMP file" if head else "it is empty")


def decode(file, *, label, max_pixels: int):
    """Decodes an image file.

    Args:
      file: open for reading bytes.
      label: the file's name in warnings.
      max_pixels: larger images are refused before they are decoded.

    Returns:
      (uint8 or uint16 `[h, w, 3]` upright, ICC profile or None, EXIF block or None.)

    Raises:
      ValueError: the file is empty, of another format, too large or damaged; a damaged file may
        also raise whatever the decoder stumbles over.
      ImportError: a package that the format needs is not installed.
    """
    decoder = _DECODERS[recognise(file)]
    with naming_the_extra():
        return decoder(file, label, max_pixels)


def encode(path, pixels, *, suffix: str, icc_profile, exif, quality: int) -> None:
    """Encodes an image into a new file.

    Args:
      path: the file.
      pixels: uint8 or uint16 `[h, w, 3]`, contiguous.
      suffix: one of `images.SUFFIXES`; the format.
      icc_profile: bytes, or None.
      exif: EXIF block, or None.
      quality: of JPEG, 1 to 100.

    Raises:
      OSError: the file cannot be written.
      ImportError: a package that the format needs is not installed.
    """
    with naming_the_extra():
        if suffix in (".jpg", ".jpeg"):
            _write_jpeg(path, pixels, icc_profile, exif, quality)
        elif suffix == ".png":
            _write_png(path, pixels, icc_profile, exif)
        else:
            _write_tiff(path, pixels, icc_profile, exif)


def png(pixels) -> bytes:
    """Encodes pixels as PNG.

    Args:
      pixels: uint8 or uint16 `[h, w, 3]`.

    Returns:
      The content of a file.

    Raises:
      OSError: OpenCV cannot encode them.
    """
    import cv2

    done, encoded = cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))
    if not done:
        raise OSError("OpenCV could not encode a PNG file")
    return encoded.tobytes()


def check_mode(image, *, bits: int = 8) -> None:
    """Refuses colours that are neither RGB nor grey.

    Args:
      image: Pillow's image, opened.
      bits: per channel; Pillow has other names for the modes of 16.

    Raises:
      ValueError: CMYK and the like.
    """
    if bits == 8 and image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
        raise ValueError(f"its colours are {image.mode}; RGB and grey are supported")


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuses images that are too large to be decoded.

    Args:
      width: in pixels.
      height: in pixels.
      max_pixels: the limit.

    Raises:
      ValueError: there are more pixels than that.
    """
    if width * height > max_pixels:
        raise ValueError(f"{width} x {height} pixels are more than the limit of {max_pixels}")


@contextlib.contextmanager
def naming_the_extra():
    """Adds to the error of a missing package what to install."""
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"image files need {error.name}, which is not installed: "
            'pip install "bilateral_jax[images]"'
        ) from error


def _read_jpeg(file, label, max_pixels):
    import PIL.JpegImagePlugin

    # The plug-in's own class does not apply the size limit of PIL.Image.open (179 MP), which is
    # global state.
    with PIL.JpegImagePlugin.JpegImageFile(file) as image:
        return _from_pillow(image, max_pixels)


def _read_bmp(file, label, max_pixels):
    import PIL.BmpImagePlugin

    with PIL.BmpImagePlugin.BmpImageFile(file) as image:
        return _from_pillow(image, max_pixels)


def _read_png(file, label, max_pixels):
    import PIL.PngImagePlugin

    file.seek(24)
    bits = file.read(1)[0]
    file.seek(0)
    with PIL.PngImagePlugin.PngImageFile(file) as image:
        if bits != 16:
            return _from_pillow(image, max_pixels)
        check_size(*image.size, max_pixels)
        profile = image.info.get("icc_profile")
        # Before decoding: this detects truncated files, which some OpenCV versions pad silently.
        exif = exif_lib.from_png(file)
    # Pillow would reduce the samples to 8 bits.
    pixels = _decode_with_opencv(_content(file), "its data are broken")
    return _upright(_three_channels(pixels), profile, exif)


def _from_pillow(image, max_pixels):
    check_size(*image.size, max_pixels)
    check_mode(image)
    image.load()
    pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    return _upright(pixels, image.info.get("icc_profile"), image.info.get("exif"))


def _read_tiff(file, label, max_pixels):
    import tifffile

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
            pixels = _three_channels(_decode_tiff(file, page, tiff.byteorder))
    exif = _if_readable(label, exif_lib.from_tiff, file)
    return exif_lib.turn(pixels, orientation), _rgb_profile(profile), exif


def _decode_tiff(file, page, byteorder):
    """Decodes pixels as stored; only some OpenCV versions apply the orientation, so it is reset."""
    encoded = _content(file)
    tag = page.tags.get(_ORIENTATION)
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


def _upright(pixels, profile, exif):
    """Applies the orientation of the EXIF block and resets it there."""
    if not exif:
        return pixels, _rgb_profile(profile), None
    exif, orientation = exif_lib.reset_orientation(exif)
    return exif_lib.turn(pixels, orientation), _rgb_profile(profile), exif


def _rgb_profile(profile):
    """Drops a profile that does not describe RGB, such as a grey image's."""
    return bytes(profile) if profile and bytes(profile[16:20]) == b"RGB " else None


def _if_readable(label, function, *arguments):
    """Calls a function on EXIF; what it cannot parse is left out, with a warning."""
    try:
        return function(*arguments)
    except (SyntaxError, ValueError, LookupError, TypeError, struct.error) as error:
        warnings.warn(f"{label}: unreadable EXIF is left out ({error})", stacklevel=6)
        return None


def _write_jpeg(path, pixels, icc_profile, exif, quality):
    import PIL.Image

    blocks = {"icc_profile": icc_profile, "exif": exif}
    blocks = {name: block for name, block in blocks.items() if block}
    image = PIL.Image.fromarray(pixels)
    with open(path, "xb") as file:
        image.save(file, "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2, **blocks)


def _write_png(path, pixels, icc_profile, exif):
    encoded = png(pixels)
    with open(path, "xb") as file:
        file.write(encoded[:_PNG_HEADER])
        if icc_profile:
            file.write(exif_lib.png_chunk(b"iCCP", b"ICC\0\0" + zlib.compress(icc_profile)))
        if exif:
            file.write(exif_lib.png_chunk(b"eXIf", exif.removeprefix(exif_lib.HEADER)))
        file.write(encoded[_PNG_HEADER:])


def _write_tiff(path, pixels, icc_profile, exif):
    import tifffile

    texts = _if_readable(path, exif_lib.descriptions, exif) or {}
    tags = [(tag, "s", 0, text.encode(), True) for tag, text in texts.items()]
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
        _if_readable(path, exif_lib.append_to_tiff, path, exif)


_DECODERS = {"jpeg": _read_jpeg, "png": _read_png, "bmp": _read_bmp, "tiff": _read_tiff}

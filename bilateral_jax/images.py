"""Picture files to integer pixels and back: JPEG, PNG and TIFF, 8 and 16 bits per channel.

A picture in memory is `[h, w, 3]`, red green blue, upright (a camera's orientation tag is applied
while reading and reset), uint8 or uint16 as in the file. Grey pictures become three equal channels.
An alpha channel is dropped: the stored colours are kept as they are, nothing is composited. Colours
are never converted; the colour profile (ICC) travels beside the pixels so that writing can attach
it again. The format is recognised by content when reading, by suffix when writing.

Receives files from the user.
Hands pixels to `data` and `inference`, and finished pixels back to files.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import struct
import uuid
import warnings
import zlib

import numpy as np

from bilateral_jax import exif as exif_block

# What OpenCV accepts by default. 200 MP photos pass with room; a forged header of a terapixel does
# not.
MAX_PIXELS = 1 << 30

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")

_ORIENTATION, _ICC = 274, 34675
_PNG_HEADER = 33  # bytes of the signature and the first chunk


@dataclasses.dataclass(frozen=True)
class Photo:
    """A decoded picture file.

    Attributes:
      pixels: uint8 or uint16 `[h, w, 3]`, red green blue, upright.
      icc_profile: the colour profile's bytes, or None for a file without one (take it as sRGB);
        a grey picture's profile is dropped, since it does not describe three channels.
      exif: the EXIF block ("Exif" header included) with the orientation reset and the thumbnail
        unlinked, or None.
    """

    pixels: np.ndarray
    icc_profile: bytes | None = None
    exif: bytes | None = None


def read(path, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Reads a JPEG, PNG or TIFF file.

    Args:
      path: the file. Its content, not its suffix, tells the format. Of a multi-page TIFF the first
        page is read.
      max_pixels: a picture with more pixels than this is refused before it is decoded.

    Returns:
      The upright picture with its profile and EXIF.

    Raises:
      OSError: the file does not exist or cannot be opened.
      ValueError: the file is empty, truncated, broken, too large, or not one of the supported
        kinds; the message names the file and the reason.
      ImportError: OpenCV, Pillow or tifffile is not installed.
    """
    path = pathlib.Path(path)
    with open(path, "rb") as file:
        head = file.read(32)
    decode = _decoder(head)
    if decode is None:
        reason = "it is empty" if not head else "it is not a JPEG, PNG or TIFF file"
        raise ValueError(f"cannot read {path}: {reason}")
    packages = _packages()
    try:
        return decode(path, head, max_pixels, *packages)
    # The decoders signal a broken file with whatever their parsers stumble over.
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, struct.error) as error:
        raise ValueError(f"cannot read {path}: {error or type(error).__name__}") from error
    except packages[0].error as error:
        raise ValueError(f"cannot read {path}: {str(error).strip()}") from error


def write(path, pixels, *, icc_profile=None, exif=None, quality: int = 95) -> None:
    """Writes a picture; the file appears whole or not at all.

    Args:
      path: where to; the suffix (.jpg .jpeg .png .tif .tiff, any case) chooses the format.
      pixels: uint8 or uint16 `[h, w, 3]`; the bit depth of the file follows. JPEG takes uint8 only.
      icc_profile: bytes of the colour profile to attach, or None.
      exif: EXIF block as `Photo.exif` holds it, or None.
      quality: JPEG quality in 1..100; PNG and TIFF are lossless and ignore it.

    Raises:
      OSError: the folder does not exist or cannot be written.
      TypeError: `pixels` is neither uint8 nor uint16.
      ValueError: shape, suffix, quality, or 16 bits asked of JPEG.
      ImportError: OpenCV, Pillow or tifffile is not installed.
    """
    path = pathlib.Path(path)
    pixels = np.asarray(pixels)
    suffix = path.suffix.lower()
    _check_writable(path, suffix, pixels, quality)
    packages = _packages()
    if suffix in (".jpg", ".jpeg"):
        encode = _write_jpeg
    else:
        encode = _write_png if suffix == ".png" else _write_tiff
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        encode(scratch, np.ascontiguousarray(pixels), icc_profile, exif, quality, *packages)
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def to_float(pixels) -> np.ndarray:
    """Scales 8- or 16-bit pixels to float32 in [0, 1]; each depth by its own maximum.

    Args:
      pixels: uint8 or uint16 array of any shape.

    Returns:
      float32, same shape.

    Raises:
      TypeError: any other dtype.
    """
    pixels = np.asarray(pixels)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"pixels must be uint8 or uint16, got {pixels.dtype}")
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def to_integer(values, bits: int) -> np.ndarray:
    """Rounds values in [0, 1] to 8- or 16-bit pixels; what lies outside is clipped.

    Args:
      values: float array of any shape.
      bits: 8 or 16.

    Returns:
      uint8 or uint16, same shape. `to_integer(to_float(p), bits)` is `p` exactly.

    Raises:
      TypeError: `values` is not floating point.
      ValueError: `bits` is neither 8 nor 16, or a value is NaN.
    """
    if bits not in (8, 16):
        raise ValueError(f"bits must be 8 or 16, got {bits}")
    values = np.asarray(values)
    if values.dtype.name in ("float16", "bfloat16"):
        values = values.astype(np.float32)
    if not np.issubdtype(values.dtype, np.floating):
        raise TypeError(f"values must be floating point with 1 as white, got {values.dtype}")
    if np.isnan(values).any():
        raise ValueError(
            f"values holds {int(np.isnan(values).sum())} NaN; there is no pixel for that"
        )
    maximum = (1 << bits) - 1
    scaled = np.clip(values, 0.0, 1.0) * np.asarray(maximum, values.dtype)
    return np.rint(scaled).astype(np.uint8 if bits == 8 else np.uint16)


def _packages():
    """Imports what the codecs need; done late, so that using arrays alone needs none of it."""
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


def _decoder(head):
    if head.startswith(b"\xff\xd8\xff"):
        return _read_jpeg
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _read_png
    if head[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return _read_tiff
    return None


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
    return Photo(exif_block.turn(pixels, orientation), _rgb_profile(profile), notes)


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
    return Photo(exif_block.turn(pixels, orientation), _rgb_profile(profile), exif or None)


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


def _check_writable(path, suffix, pixels, quality):
    if suffix not in SUFFIXES:
        raise ValueError(f"cannot write {path}: the suffix must be one of {', '.join(SUFFIXES)}")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"cannot write {path}: pixels must be uint8 or uint16, got {pixels.dtype}")
    if pixels.ndim != 3 or pixels.shape[-1] != 3 or 0 in pixels.shape:
        raise ValueError(f"cannot write {path}: pixels must be [h, w, 3], got {pixels.shape}")
    if suffix in (".jpg", ".jpeg") and pixels.dtype != np.uint8:
        raise ValueError(f"cannot write {path}: JPEG holds 8 bits, pixels are {pixels.dtype}")
    if not 1 <= quality <= 100:
        raise ValueError(f"cannot write {path}: quality must be in 1..100, got {quality}")


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

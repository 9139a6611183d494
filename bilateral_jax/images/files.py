"""Picture files to integer pixels and back: JPEG, PNG and TIFF, 8 and 16 bits per channel.

A picture in memory is `[h, w, 3]`, red green blue, upright (a camera's orientation tag is applied
while reading and reset), uint8 or uint16 as in the file. Grey pictures become three equal channels.
An alpha channel is dropped: the stored colours are kept as they are, nothing is composited. Colours
are never converted; the colour profile (ICC) travels beside the pixels so that writing can attach
it again. The format is recognised by content when reading (BMP too), by suffix when writing.

Receives files from the user.
Hands pixels to `data` and `inference`, and finished pixels back to files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import pathlib
import struct
import uuid

import numpy as np

from bilateral_jax.images import codecs, headers

# What OpenCV accepts by default. 200 MP photos pass with room; a forged header of a terapixel does
# not.
MAX_PIXELS = 1 << 30

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
READABLE_SUFFIXES = (*SUFFIXES, ".bmp")


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
    """Reads a JPEG, PNG, TIFF or BMP file.

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
        return _decode(file, path, max_pixels)


def decode(content: bytes, *, label="the picture", max_pixels: int = MAX_PIXELS) -> Photo:
    """Decodes the content of a picture file.

    Args:
      content: what such a file holds.
      label: what the message of an error calls it.
      max_pixels: as for `read`.

    Returns:
      What `read` gives for a file of that content.

    Raises:
      ValueError: as `read`.
      ImportError: as `read`.
    """
    return _decode(io.BytesIO(content), label, max_pixels)


def inspect(path, *, max_pixels: int = MAX_PIXELS) -> headers.Header:
    """Reads what a picture file says of itself, and whether it is there to its end.

    This costs a few reads, whatever the size of the file. A JPEG file with something else behind
    its end (as some cameras write it) is decoded to be sure.

    Args:
      path: the file.
      max_pixels: as for `read`.

    Returns:
      The upright size and the depth that `read` would give.

    Raises:
      OSError: as `read`.
      ValueError: as `read`, but for damage between the head and the end of the file.
      ImportError: as `read`.
    """
    path = pathlib.Path(path)
    with open(path, "rb") as file:
        with _naming(path):
            header, whole = headers.parse(file, max_pixels)
        if not whole:
            file.seek(0)
            _decode(file, path, max_pixels)
        return header


def encode_png(pixels) -> bytes:
    """Encodes pixels without loss, in memory.

    Args:
      pixels: uint8 or uint16 `[h, w, 3]`.

    Returns:
      The content of a PNG file, without profile and EXIF.

    Raises:
      ImportError: OpenCV is not installed.
    """
    return codecs.png(np.asarray(pixels), codecs.packages()[0])


def _decode(file, label, max_pixels):
    head = file.read(32)
    with _naming(label):
        decode = codecs.decoder(head)
        if decode is None:
            raise ValueError(headers.unknown(head))
        file.seek(0)
        return Photo(*decode(file, label, max_pixels, *codecs.packages()))


@contextlib.contextmanager
def _naming(label):
    """Turns what the decoders say of a bad file into one kind of error that names it."""
    packages = codecs.packages()
    try:
        yield
    # The decoders signal a broken file with whatever their parsers stumble over.
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, struct.error) as error:
        raise ValueError(f"cannot read {label}: {error or type(error).__name__}") from error
    except packages[0].error as error:
        raise ValueError(f"cannot read {label}: {str(error).strip()}") from error


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
    packages = codecs.packages()
    encode = codecs.encoder(suffix)
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        encode(scratch, np.ascontiguousarray(pixels), icc_profile, exif, quality, *packages)
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


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

"""Image files to integer pixels and back: JPEG, PNG and TIFF, 8 and 16 bits per channel.

An image in memory is `[h, w, 3]`, red green blue, upright (a camera's orientation tag is applied
when reading, and reset), uint8 or uint16 as in the file. Grey images become three equal channels.
Alpha channels are dropped: the stored colours stay as they are, nothing is composited. Colours are
never converted; the colour profile (ICC) is kept with the pixels so that writing can attach it
again. The format is recognised by content when reading (BMP, too), by suffix when writing.
"""

from __future__ import annotations

import contextlib
import io
import pathlib
import struct
import warnings

import numpy as np

from bilateral_jax import atomic, regular_files
from bilateral_jax.images import decoders, encoders, formats, headers, metadata, profiles
from bilateral_jax.images import photo as photo_lib

# What OpenCV accepts by default: five times a photo of 200 MP, not a forged header of a terapixel.
MAX_PIXELS = 1 << 30

_JPEG_SIDE = 65500  # libjpeg's limit

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
READABLE_SUFFIXES = (*SUFFIXES, ".bmp")


def read(path, *, max_pixels: int = MAX_PIXELS) -> photo_lib.Photo:
    """Reads a JPEG, PNG, TIFF or BMP file.

    Args:
      path: the file. The format is recognised by content, not by suffix. Of a multi-page TIFF the
        first page is read.
      max_pixels: larger images are refused before they are decoded.

    Returns:
      The upright image with its profile and EXIF.

    Raises:
      OSError: the file does not exist or cannot be opened.
      ValueError: the file is empty, truncated, broken, too large, or of an unsupported format; the
        message names the file and the reason.
      ImportError: a package that the format needs (Pillow, OpenCV, tifffile) is not installed.
    """
    path = pathlib.Path(path)
    with regular_files.open_binary(path) as file, _naming(path):
        return decoders.decode(file, label=path, max_pixels=max_pixels)


def decode(content: bytes, *, label="the image", max_pixels: int = MAX_PIXELS) -> photo_lib.Photo:
    """Decodes the content of an image file.

    Args:
      content: bytes of the file.
      label: the name in error messages.
      max_pixels: as for `read`.

    Returns:
      As `read`.

    Raises:
      ValueError: as `read`.
      ImportError: as `read`.
    """
    with _naming(label):
        return decoders.decode(io.BytesIO(content), label=label, max_pixels=max_pixels)


def inspect(path, *, max_pixels: int = MAX_PIXELS) -> headers.Header:
    """Reads the size and bit depth of an image file, and checks that it is complete.

    This costs a few reads, whatever the size of the file. A JPEG file with other data behind its
    end marker (as some cameras write it) is decoded to be sure.

    Args:
      path: the file.
      max_pixels: as for `read`.

    Returns:
      Upright size and bit depth.

    Raises:
      OSError: as `read`.
      ValueError: as `read`, except for damage between the header and the end of the file.
      ImportError: as `read`.
    """
    path = pathlib.Path(path)
    with regular_files.open_binary(path) as file, _naming(path):
        header, complete = headers.parse(file, max_pixels)
        if not complete:
            decoders.decode(file, label=path, max_pixels=max_pixels)
        return header


def encode_png(pixels) -> bytes:
    """Encodes pixels as PNG, in memory.

    Args:
      pixels: uint8 or uint16 `[h, w, 3]`.

    Returns:
      The content of a PNG file, without profile and EXIF.

    Raises:
      ImportError: OpenCV is not installed.
    """
    with formats.explain_missing_packages():
        return encoders.png(np.ascontiguousarray(pixels))


@contextlib.contextmanager
def _naming(label):
    """Turns the errors of the decoders into one kind that names the file."""
    try:
        yield
    # For a broken file the decoders raise whatever their parsers stumble over.
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, struct.error) as error:
        raise ValueError(f"cannot read {label}: {error or type(error).__name__}") from error


def write(path, pixels, *, icc_profile=None, exif=None, quality: int = 95) -> None:
    """Writes an image file, whole or not at all.

    Args:
      path: the file; its suffix (.jpg .jpeg .png .tif .tiff, any case) is the format.
      pixels: uint8 or uint16 `[h, w, 3]`, the bit depth of the file; JPEG takes uint8 only.
      icc_profile: bytes of the colour profile, or None.
      exif: EXIF block as `Photo.exif` holds it, or None.
      quality: JPEG quality in 1..100; PNG and TIFF are lossless and ignore it.

    Raises:
      OSError: the folder does not exist or cannot be written.
      TypeError: `pixels` is neither uint8 nor uint16.
      ValueError: shape, suffix, quality, 16 bits asked of JPEG, or a profile of other colours.
      ImportError: as `read`.
    """
    content = photo_lib.Photo(np.asarray(pixels), icc_profile=icc_profile, exif=exif)
    write_photo(path, content, quality=quality)


def write_photo(path, photo: photo_lib.Photo, *, quality: int = 95) -> None:
    """Writes an image file with everything that a photo holds, whole or not at all.

    Args:
      path: as for `write`.
      photo: as `read` returns it, perhaps with other pixels (`dataclasses.replace`). A grey one is
        written with one colour channel, the luma of its pixels.
      quality: as for `write`.

    Raises:
      OSError: as `write`.
      TypeError: as `write`.
      ValueError: as `write`, or transparent pixels in JPEG, which has no alpha channel.
      ImportError: as `write`.
    """
    path = pathlib.Path(path)
    suffix = path.suffix.lower()
    _check_writable(path, suffix, photo, quality)
    photo, notes = metadata.fit(photo, suffix)
    for note in notes:
        warnings.warn(f"{path}: {note}", stacklevel=2)
    with atomic.file(path) as scratch:
        encoders.encode(scratch, photo, suffix=suffix, quality=quality)


def _check_writable(path, suffix, photo, quality):
    pixels, alpha = photo.pixels, photo.alpha
    if suffix not in SUFFIXES:
        raise ValueError(f"cannot write {path}: the suffix must be one of {', '.join(SUFFIXES)}")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"cannot write {path}: pixels must be uint8 or uint16, got {pixels.dtype}")
    if pixels.ndim != 3 or pixels.shape[-1] != 3 or 0 in pixels.shape:
        raise ValueError(f"cannot write {path}: pixels must be [h, w, 3], got {pixels.shape}")
    if alpha is not None and (alpha.shape, alpha.dtype) != (pixels.shape[:2], pixels.dtype):
        raise ValueError(
            f"cannot write {path}: alpha must be {pixels.dtype} {pixels.shape[:2]} like pixels, "
            f"got {alpha.dtype} {alpha.shape}"
        )
    if suffix in (".jpg", ".jpeg") and pixels.dtype != np.uint8:
        raise ValueError(f"cannot write {path}: JPEG holds 8 bits, pixels are {pixels.dtype}")
    if suffix in (".jpg", ".jpeg") and max(pixels.shape[:2]) > _JPEG_SIDE:
        raise ValueError(
            f"cannot write {path}: JPEG holds at most {_JPEG_SIDE:,} pixels per side, the photo "
            f"has {pixels.shape[1]:,} x {pixels.shape[0]:,}; use .png or .tif"
        )
    if suffix in (".jpg", ".jpeg") and not photo.is_opaque():
        raise ValueError(
            f"cannot write {path}: JPEG has no alpha channel and the photo has transparent pixels; "
            "use .png or .tif"
        )
    profile = photo.icc_profile
    if profile and profiles.color_space(profile) == "GRAY" and not photo.grey:
        raise ValueError(f"cannot write {path}: the colour profile is of grey, the pixels are RGB")
    if not 1 <= quality <= 100:
        raise ValueError(f"cannot write {path}: quality must be in 1..100, got {quality}")

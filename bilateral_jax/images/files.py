"""Image files to integer pixels and back, 8 and 16 bits per channel.

An image in memory is `[h, w, 3]`, red green blue, upright (a camera's orientation tag is applied
when reading, and reset), uint8 or uint16 as in the file, with its alpha channel beside it: nothing
is composited. Grey images become three equal channels and are marked as grey. The colour profile
(ICC) is kept with the pixels so that writing can attach it again; only CMYK and Lab are converted
to sRGB, by their profile. The format is recognised by content when reading (JPEG, PNG, TIFF,
WebP, AVIF, HEIC, BMP, GIF, raw files of cameras), by suffix when writing (JPEG, PNG, TIFF).
"""

from __future__ import annotations

import contextlib
import io
import pathlib
import warnings

import numpy as np

from bilateral_jax import atomic, regular_files
from bilateral_jax.images import encoders, formats, headers, metadata, plans, profiles
from bilateral_jax.images import photo as photo_lib

_JPEG_SIDE = 65500  # libjpeg's limit

SUFFIXES = (*formats.JPEG_SUFFIXES, ".png", *formats.TIFF_SUFFIXES)
READABLE_SUFFIXES = (*SUFFIXES, ".bmp", ".webp", ".avif", ".heic", ".heif", ".gif")
RAW_SUFFIXES = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw")


def read(path, *, max_pixels: int | None = None, first_frame: bool = False) -> photo_lib.Photo:
    """Reads a JPEG, PNG, TIFF, WebP, AVIF, HEIC, GIF or BMP file, or develops a camera's raw file.

    Args:
      path: the file. The format is recognised by content, not by suffix. Reduced copies of the
        image in a TIFF file, and further pictures in a JPEG file (MPO), are passed over.
      max_pixels: larger images are refused before they are decoded; None refuses more than 2^28
        pixels, and more than 2^26 with over 1000 pixels per byte of the file.
      first_frame: of a TIFF with several pages or an animation, read the first; else they are
        refused.

    Returns:
      The upright image with alpha, profile and metadata.

    Raises:
      OSError: the file does not exist or cannot be opened.
      ValueError: the file is empty, truncated, damaged, too large, of an unsupported format or of
        several frames; the message names the file and the reason.
      ImportError: a package that the format needs is not installed.
    """
    path = pathlib.Path(path)
    with _planned(path, path, max_pixels, first_frame) as plan:
        return plan.decode()


def decode(
    content: bytes, *, label="the image", max_pixels: int | None = None, first_frame: bool = False
) -> photo_lib.Photo:
    """Decodes the content of an image file.

    Args:
      content: bytes of the file.
      label: the name in error messages.
      max_pixels: as for `read`.
      first_frame: as for `read`.

    Returns:
      As `read`.

    Raises:
      ValueError: as `read`.
      ImportError: as `read`.
    """
    with _planned(content, label, max_pixels, first_frame) as plan:
        return plan.decode()


def inspect(path, *, max_pixels: int | None = None, first_frame: bool = False) -> headers.Header:
    """Reads the size and bit depth of an image file, and checks that it is complete.

    This costs a few reads, whatever the size of the file. A JPEG file with other data behind its
    end marker (as some cameras write it) is decoded to be sure. What `read` refuses, `inspect`
    refuses, except for damage to the data before the end of the file: both decide by one plan.

    Args:
      path: the file.
      max_pixels: as for `read`.
      first_frame: as for `read`.

    Returns:
      Upright size and bit depth.

    Raises:
      OSError: as `read`.
      ValueError: as `read`.
      ImportError: as `read`.
    """
    path = pathlib.Path(path)
    with _planned(path, path, max_pixels, first_frame) as plan:
        if not plan.complete:
            plan.decode()
        return plan.header


@contextlib.contextmanager
def _planned(source, label, max_pixels, first_frame):
    """Opens a path or bytes and plans the decoding; errors within become one that names it."""
    opened = io.BytesIO(source) if isinstance(source, bytes) else regular_files.open_binary(source)
    with opened as file:
        try:
            with formats.explain_missing_packages():
                yield plans.plan(file, max_pixels=max_pixels, first_frame=first_frame)
        except (ImportError, MemoryError):
            raise
        # For a broken file the parsers raise exceptions of any kind.
        except Exception as error:
            raise ValueError(f"cannot read {label}: {error or type(error).__name__}") from error


def encode_png(pixels) -> bytes:
    """Encodes pixels as PNG, in memory.

    Args:
      pixels: uint8 or uint16 `[h, w, 3]`.

    Returns:
      The content of a PNG file, without profile and EXIF.

    Raises:
      ImportError: imagecodecs is not installed.
    """
    with formats.explain_missing_packages():
        return encoders.png(np.ascontiguousarray(pixels))


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
    check_writable(path, photo, bits=8 * photo.pixels.dtype.itemsize, quality=quality)
    photo, notes = metadata.fit_metadata(photo, path.suffix.lower())
    with atomic.file(path) as scratch:
        notes += encoders.encode(scratch, photo, suffix=path.suffix.lower(), quality=quality)
    for note in notes:
        warnings.warn(f"{path}: {note}", stacklevel=2)


def check_writable(path, photo: photo_lib.Photo, *, bits: int, quality: int = 95) -> None:
    """Checks that a format can hold a photo, before the work on its pixels.

    Args:
      path: as for `write`; nothing is looked up there.
      photo: as for `write_photo`.
      bits: 8 or 16 per channel, that the pixels will have when they are written.
      quality: as for `write`.

    Raises:
      TypeError: as `write`.
      ValueError: as `write_photo`.
    """
    path = pathlib.Path(path)
    suffix = path.suffix.lower()
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
    if suffix in formats.JPEG_SUFFIXES:
        _check_jpeg(path, photo, bits)
    profile = photo.icc_profile
    if profile and profiles.color_space(profile) == "GRAY" and not photo.grey:
        raise ValueError(f"cannot write {path}: the colour profile is of grey, the pixels are RGB")
    if not 1 <= quality <= 100:
        raise ValueError(f"cannot write {path}: quality must be in 1..100, got {quality}")


def _check_jpeg(path, photo, bits):
    height, width = photo.pixels.shape[:2]
    if bits != 8:
        raise ValueError(f"cannot write {path}: JPEG holds 8 bits, pixels are uint{bits}")
    if max(height, width) > _JPEG_SIDE:
        raise ValueError(
            f"cannot write {path}: JPEG holds at most {_JPEG_SIDE:,} pixels per side, the photo "
            f"has {width:,} x {height:,}; use .png or .tif"
        )
    if not photo.is_opaque():
        raise ValueError(
            f"cannot write {path}: JPEG has no alpha channel and the photo has transparent pixels; "
            "use .png or .tif"
        )

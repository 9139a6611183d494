"""Readers of image files: as stored, converted from ProPhoto, developed from raw, or resized.

A reader has three methods: `size(path)` returns (height, width) from the file's head, or None where
that is not known before decoding; `read(path)` returns uint8 or uint16 pixels; `encoded(path)`
returns the bytes of an image file that decodes to exactly these pixels, and (height, width). The
latter two decode the whole file and so validate it. All three refuse what is not a regular file,
without opening it: a FIFO would block for ever.
"""

from __future__ import annotations

import dataclasses
import math
import os

import numpy as np

from bilateral_jax import color, images, regular_files
from bilateral_jax.images import profiles
from bilateral_jax.images.decoders import raw

# Rows converted at a time, to bound the memory of float copies.
_ROWS = 256


@dataclasses.dataclass(frozen=True)
class AsStored:
    """Pixels as the file stores them.

    Attributes:
      bits: 8 or 16 to accept nothing else; None for both.
    """

    bits: int | None = None

    def size(self, path):
        """Reads (height, width) from the file's header and checks the file's end."""
        regular_files.check(path)
        header = images.inspect(path)
        _check_bits(path, header.bits, self.bits)
        return header.height, header.width

    def read(self, path):
        """Decodes the file."""
        regular_files.check(path)
        pixels = images.read(path).pixels
        _check_bits(path, images.bit_depth(pixels), self.bits)
        return pixels

    def encoded(self, path):
        """Returns the file's bytes, after decoding it."""
        content = regular_files.read_bytes(path)
        pixels = images.decode(content, label=path).pixels
        _check_bits(path, images.bit_depth(pixels), self.bits)
        return content, pixels.shape[:2]


@dataclasses.dataclass(frozen=True)
class ProPhoto:
    """16-bit ProPhoto RGB, converted to 16-bit sRGB; colours outside sRGB are clipped.

    A file whose profile names another colour space is refused.
    """

    def size(self, path):
        """Reads (height, width) from the file's header and checks the file's end."""
        return AsStored(16).size(path)

    def read(self, path):
        """Decodes and converts the file."""
        regular_files.check(path)
        photo = images.read(path)
        _check_bits(path, images.bit_depth(photo.pixels), 16)
        if not _may_be_prophoto(path, photo.icc_profile):
            raise ValueError(
                f"{path} has a colour profile that is not ProPhoto (ROMM RGB); "
                'color="srgb" takes the colours as they are'
            )
        converted = np.empty_like(photo.pixels)
        for top in range(0, len(converted), _ROWS):
            rows = color.prophoto_to_srgb(images.to_float(photo.pixels[top : top + _ROWS]))
            converted[top : top + _ROWS] = images.to_integer(rows, 16)
        return converted

    def encoded(self, path):
        """Returns the converted image as 16-bit PNG."""
        return _png(self.read(path))


@dataclasses.dataclass(frozen=True)
class Raw:
    """A camera's raw file (DNG), developed by LibRaw to 16-bit sRGB, upright.

    White balance as the camera took it, no automatic brightness, the file's default crop.
    """

    def size(self, path):
        """Checks that the file opens; returns None, as the size is known once it is developed."""
        with _raw_file(path):
            return None

    def read(self, path):
        """Develops the file."""
        with _raw_file(path) as opened:
            try:
                return raw.develop(opened)
            except ValueError as error:
                raise ValueError(f"cannot develop {path}: {error}") from error

    def encoded(self, path):
        """Returns the developed image as 16-bit PNG."""
        return _png(self.read(path))


@dataclasses.dataclass(frozen=True)
class Resized:
    """Images of another reader, reduced by area averaging; never enlarged.

    Attributes:
      reader: of the images to resize.
      long_side: of the result, in pixels.
    """

    reader: AsStored | ProPhoto | Raw
    long_side: int

    def size(self, path):
        """Reads (height, width) as the other reader does, and resizes it."""
        size = self.reader.size(path)
        return size and self._fit(*size)

    def read(self, path):
        """Reads and resizes the image."""
        import cv2

        pixels = self.reader.read(path)
        height, width = self._fit(*pixels.shape[:2])
        if (height, width) == pixels.shape[:2]:
            return pixels
        return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)

    def encoded(self, path):
        """Returns the resized image as PNG."""
        return _png(self.read(path))

    def _fit(self, height, width):
        scale = min(1.0, self.long_side / max(height, width))
        return tuple(max(1, math.floor(side * scale + 0.5)) for side in (height, width))


def resized(reader, long_side: int | None):
    """Wraps a reader in `Resized` unless `long_side` is None.

    Args:
      reader: one of this module.
      long_side: of the result in pixels, or None.

    Returns:
      A reader.

    Raises:
      ValueError: `long_side` is less than 1.
    """
    if long_side is None:
        return reader
    if long_side < 1:
        raise ValueError(f"long_side must be at least 1, got {long_side}")
    return Resized(reader, long_side)


def _png(pixels):
    return images.encode_png(pixels), pixels.shape[:2]


def _check_bits(path, bits, expected):
    if expected is not None and bits != expected:
        raise ValueError(f"{path} holds {bits} bits per channel; {expected} are expected")


def _may_be_prophoto(path, profile):
    try:
        return profile is None or profiles.is_prophoto(profile)
    except ValueError as error:
        raise ValueError(f"cannot read {path}: {error}") from error


def _raw_file(path):
    if os.path.exists(path):
        regular_files.check(path)
    try:
        return raw.open_raw(str(path))
    except ValueError as error:
        raise ValueError(f"cannot read {path}: {error}") from error

"""How a picture file becomes pixels: as stored, converted from ProPhoto, or developed from raw.

A rendition is a small value with three functions: `size(path)` looks at the file's head and gives
(height, width), or None where that is not known before decoding; `read(path)` gives uint8 or uint16
pixels; `encoded(path)` gives the bytes of a picture file that decodes to exactly these pixels, and
(height, width). Neither of the latter two believes what it has not decoded.

Receives paths from the sources; pixels from `images`.
Hands pixels and encoded bytes to the sources.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib

import numpy as np

from bilateral_jax import color, images

# Rows converted at a time: a photo in floats is six times a photo in bytes.
_BAND = 256


@dataclasses.dataclass(frozen=True)
class AsStored:
    """The pixels of the file.

    Attributes:
      bits: 8 or 16 where nothing else is accepted; None for both.
    """

    bits: int | None = None

    def size(self, path):
        """Looks at the head and the end of the file."""
        header = images.inspect(path)
        _check_bits(path, header.bits, self.bits)
        return header.height, header.width

    def read(self, path):
        """Decodes the file."""
        pixels = images.read(path).pixels
        _check_bits(path, 8 * pixels.dtype.itemsize, self.bits)
        return pixels

    def encoded(self, path):
        """Gives the file as it is, once it has been decoded."""
        content = pathlib.Path(path).read_bytes()
        pixels = images.decode(content, label=path).pixels
        _check_bits(path, 8 * pixels.dtype.itemsize, self.bits)
        return content, pixels.shape[:2]


@dataclasses.dataclass(frozen=True)
class ProPhoto:
    """16-bit ProPhoto RGB, converted to 16-bit sRGB; colours that sRGB lacks are clipped.

    A file whose profile names another colour space is refused.
    """

    def size(self, path):
        """Looks at the head and the end of the file."""
        return AsStored(16).size(path)

    def read(self, path):
        """Decodes the file and converts it."""
        photo = images.read(path)
        _check_bits(path, 8 * photo.pixels.dtype.itemsize, 16)
        if not _may_be_prophoto(photo.icc_profile):
            raise ValueError(
                f"{path} has a colour profile that is not ProPhoto (ROMM RGB); "
                'color="srgb" takes the colours as they are'
            )
        converted = np.empty_like(photo.pixels)
        for top in range(0, len(converted), _BAND):
            band = color.prophoto_to_srgb(images.to_float(photo.pixels[top : top + _BAND]))
            converted[top : top + _BAND] = images.to_integer(band, 16)
        return converted

    def encoded(self, path):
        """Gives the converted picture as 16-bit PNG."""
        return _png(self.read(path))


@dataclasses.dataclass(frozen=True)
class Raw:
    """A camera's raw file (DNG), developed by LibRaw to 16-bit sRGB, upright.

    White balance as the camera took it, no automatic brightness, the file's default crop.
    """

    def size(self, path):
        """Opens the file without developing it; its size is known when it is read."""
        with _raw_file(path):
            return None

    def read(self, path):
        """Develops the file."""
        rawpy = _rawpy()
        with _raw_file(path) as raw:
            try:
                pixels = raw.postprocess(
                    use_camera_wb=True,
                    no_auto_bright=True,
                    output_bps=16,
                    output_color=rawpy.ColorSpace.sRGB,
                    gamma=(2.4, 12.92),
                )
            except rawpy.LibRawError as error:
                raise ValueError(f"cannot develop {path}: {_reason(error)}") from error
            return _default_crop(pixels, raw.sizes)

    def encoded(self, path):
        """Gives the developed picture as 16-bit PNG."""
        return _png(self.read(path))


@dataclasses.dataclass(frozen=True)
class Scaled:
    """Another rendition, made smaller by averaging areas; never larger.

    Attributes:
      rendition: what is scaled.
      long_side: of the result, in pixels.
    """

    rendition: AsStored | ProPhoto | Raw
    long_side: int

    def size(self, path):
        """Looks at the file as the other rendition does."""
        size = self.rendition.size(path)
        return size and self._fit(*size)

    def read(self, path):
        """Reads the picture and scales it."""
        import cv2

        pixels = self.rendition.read(path)
        height, width = self._fit(*pixels.shape[:2])
        if (height, width) == pixels.shape[:2]:
            return pixels
        return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)

    def encoded(self, path):
        """Gives the scaled picture as PNG."""
        return _png(self.read(path))

    def _fit(self, height, width):
        scale = min(1.0, self.long_side / max(height, width))
        return tuple(max(1, math.floor(side * scale + 0.5)) for side in (height, width))


def scaled(rendition, long_side: int | None):
    """Wraps a rendition in `Scaled` where that is asked for.

    Args:
      rendition: one of this module.
      long_side: of the result; None to leave it alone.

    Returns:
      A rendition.

    Raises:
      ValueError: `long_side` is less than 1.
    """
    if long_side is None:
        return rendition
    if long_side < 1:
        raise ValueError(f"long_side must be at least 1, got {long_side}")
    return Scaled(rendition, long_side)


def _png(pixels):
    return images.encode_png(pixels), pixels.shape[:2]


def _check_bits(path, bits, wanted):
    if wanted is not None and bits != wanted:
        raise ValueError(f"{path} holds {bits} bits per channel; {wanted} are expected")


def _may_be_prophoto(profile):
    """Whether the profile says ProPhoto, in either spelling that profiles use, or is absent."""
    names = ("ProPhoto", "ROMM")
    spellings = [name.encode(code) for name in names for code in ("ascii", "utf-16-be")]
    return profile is None or any(spelling in profile for spelling in spellings)


def _rawpy():
    try:
        import rawpy
    except ImportError as error:
        raise ImportError(
            'raw photos need rawpy, which is not installed: pip install "bilateral_jax[raw]"'
        ) from error
    return rawpy


def _raw_file(path):
    rawpy = _rawpy()
    try:
        return rawpy.imread(str(path))
    except rawpy.LibRawError as error:
        raise ValueError(f"cannot read {path}: {_reason(error)}") from error


def _reason(error):
    said = error.args[0] if error.args else type(error).__name__
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _default_crop(pixels, sizes):
    """Cuts what the file calls its picture out of the sensor's area; flips as LibRaw did."""
    height, width = sizes.crop_height, sizes.crop_width
    top = sizes.crop_top_margin - sizes.top_margin
    left = sizes.crop_left_margin - sizes.left_margin
    turned = sizes.flip in (5, 6)
    full = pixels.shape[:2][::-1] if turned else pixels.shape[:2]
    if not height or not width or min(top, left) < 0:
        return pixels
    if top + height > full[0] or left + width > full[1]:
        return pixels
    # LibRaw's flips: 3 is half a turn, 5 a quarter to the left, 6 a quarter to the right.
    upright = {0: pixels, 3: pixels[::-1, ::-1]}
    upright |= {5: np.rot90(pixels, -1), 6: np.rot90(pixels, 1)} if turned else {}
    if sizes.flip not in upright:
        return pixels
    cut = upright[sizes.flip][top : top + height, left : left + width]
    turns = {0: 0, 3: 2, 5: 1, 6: -1}[sizes.flip]
    return np.ascontiguousarray(np.rot90(cut, turns))

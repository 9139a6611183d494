"""The content of a photo file in memory."""

from __future__ import annotations

import dataclasses

import numpy as np

from bilateral_jax import color


@dataclasses.dataclass(frozen=True)
class Photo:
    """A decoded image file: pixels, and what is written with them again.

    Attributes:
      pixels: uint8 or uint16 `[h, w, 3]`, red green blue, upright; three equal channels of a grey
        image.
      alpha: opacity `[h, w]` of the dtype of `pixels`, or None for an opaque image. The pixels are
        not multiplied by it.
      grey: whether the file holds one colour channel, so that it is written with one.
      icc_profile: the colour profile's bytes, or None for a file without one (take it as sRGB). It
        describes RGB, or, of a grey image, perhaps grey: see `profiles.color_space`.
      exif: the EXIF block ("Exif" header included) with the orientation reset and the thumbnail
        unlinked, or None.
      xmp: the XMP packet, or None.
      xmp_extension: the extended part of a JPEG file's XMP packet, or None.
      iptc: the IPTC-IIM records, or None.
      texts: (keyword, text) as in PNG; a comment of JPEG or GIF has the keyword "Comment".
      resolution: (x, y) in pixels per inch, or None.
      notes: sentences about what reading has left out or converted.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False
    icc_profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    xmp_extension: bytes | None = None
    iptc: bytes | None = None
    texts: tuple[tuple[str, str], ...] = ()
    resolution: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()

    def stored_bytes(self) -> int:
        """Number of bytes of pixels and alpha as files store them, uncompressed."""
        color_bytes = self.pixels.nbytes // 3 if self.grey else self.pixels.nbytes
        return color_bytes + (0 if self.alpha is None else self.alpha.nbytes)

    def is_opaque(self) -> bool:
        """Whether no pixel is transparent."""
        return self.alpha is None or bool((self.alpha == np.iinfo(self.alpha.dtype).max).all())


def without_alpha(photo: Photo) -> Photo:
    """Leaves out the alpha channel; the pixels stay as they are.

    Args:
      photo: the photo.

    Returns:
      The same photo, opaque.
    """
    return dataclasses.replace(photo, alpha=None)


def stored_channels(photo: Photo) -> np.ndarray:
    """Arranges pixels and alpha as files store them: 1, 2, 3 or 4 channels.

    Args:
      photo: the photo. The grey of a grey one is the luma of its pixels with the weights of BT.709,
        rounded; three equal channels give their value.

    Returns:
      Array of the dtype of the pixels, contiguous: `[h, w]` grey, `[h, w, 2]` grey and alpha,
      `[h, w, 3]` or `[h, w, 4]`.
    """
    if photo.grey:
        grey = _luma(photo.pixels)
        stored = grey if photo.alpha is None else np.stack([grey, photo.alpha], axis=-1)
    elif photo.alpha is not None:
        stored = np.concatenate([photo.pixels, photo.alpha[..., None]], axis=-1)
    else:
        stored = photo.pixels
    return np.ascontiguousarray(stored)


def from_channels(stored, **attributes) -> Photo:
    """Makes a photo of 1, 2, 3 or 4 channels, the inverse of `stored_channels`.

    Args:
      stored: uint8 or uint16 `[h, w]` or `[h, w, c]`, upright: grey, grey and alpha, RGB, or RGB
        and alpha (not multiplied).
      **attributes: the other attributes of `Photo`.

    Returns:
      The photo.

    Raises:
      ValueError: another number of channels or another dtype.
    """
    stored = stored[..., None] if stored.ndim == 2 else stored
    if stored.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"its samples are {stored.dtype}; 8 and 16 bit are supported")
    if stored.ndim != 3 or stored.shape[-1] not in (1, 2, 3, 4):
        raise ValueError(f"its pixels are of shape {stored.shape}; 1 to 4 channels are supported")
    count = stored.shape[-1]
    grey = count < 3
    pixels = np.repeat(stored[..., :1], 3, axis=-1) if grey else stored[..., :3]
    alpha = None if count in (1, 3) else np.ascontiguousarray(stored[..., -1])
    return Photo(np.ascontiguousarray(pixels), alpha=alpha, grey=grey, **attributes)


def has_colors(pixels) -> bool:
    """Whether the three channels of any pixel differ.

    Files of black-and-white photos are often RGB, and have none.

    Args:
      pixels: uint8 or uint16 `[h, w, 3]`.
    """
    return not all(np.array_equal(pixels[..., 0], pixels[..., i]) for i in (1, 2))


def without_colors(pixels) -> np.ndarray:
    """Replaces every pixel by its luma (BT.709), rounded, in three equal channels.

    Args:
      pixels: uint8 or uint16 `[h, w, 3]`.

    Returns:
      Array of the same shape and dtype.
    """
    return np.repeat(_luma(pixels)[..., None], 3, axis=-1)


def is_grey_palette(palette: bytes) -> bool:
    """Whether all colours of a palette are grey.

    Args:
      palette: red, green, blue, red, green, ...
    """
    return palette[::3] == palette[1::3] == palette[2::3]


def _luma(pixels, *, rows: int = 256):
    """Rounded luma `[h, w]` of integer pixels; a few rows at a time, to bound the memory."""
    grey = np.empty(pixels.shape[:2], pixels.dtype)
    for top in range(0, len(pixels), rows):
        part = pixels[top : top + rows].astype(np.float64)
        grey[top : top + rows] = np.rint(color.luminance(part))
    return grey

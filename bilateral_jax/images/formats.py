"""Recognition of image formats, limits of size and colour, and the error of a missing package."""

from __future__ import annotations

import contextlib


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
def explain_missing_packages():
    """Adds to the error of a missing package what to install."""
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"image files need {error.name}, which is not installed: "
            'pip install "bilateral_jax[images]"'
        ) from error

"""Recognition of image formats, limits of size, and the error of a missing package."""

from __future__ import annotations

import contextlib

JPEG_SUFFIXES = (".jpg", ".jpeg")
TIFF_SUFFIXES = (".tif", ".tiff")

# 268 megapixels: more than the sensors of phones (200) and medium format cameras (151) have.
MAX_PIXELS = 1 << 28
# Larger images must have a file in proportion: JPEG of one colour, the smallest of real files, has
# about 200 pixels per byte.
MAX_PIXELS_PER_BYTE = 1000
UNSUSPICIOUS_PIXELS = 1 << 26  # 67 megapixels take 0.2 GB and about a second

_RAW_SIGNATURES = (
    b"FUJIFILMCCD-RAW",  # RAF
    b"IIRO",  # ORF
    b"IIRS",
    b"MMOR",
    b"IIU\0",  # RW2
    b"FOVb",  # X3F
    b"\0MRM",  # MRW
)

_AVIF = {b"avif", b"avis"}
_HEIF = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}


def recognise(file) -> str:
    """Recognises the format of an image file by content.

    Args:
      file: open for reading bytes; it is rewound.

    Returns:
      "jpeg", "png", "tiff", "webp", "avif", "heif", "bmp", "gif" or "raw". Most raw files of
      cameras are TIFF; they are told apart later, by their pages.

    Raises:
      ValueError: the file is empty or of another format.
    """
    file.seek(0)
    head = file.read(64)
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
    if head.startswith(_RAW_SIGNATURES) or head[4:12] == b"ftypcrx ":  # the latter: CR3
        return "raw"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if head[4:8] == b"ftyp":
        brands = _brands(head)
        if brands & _AVIF:
            return "avif"
        if brands & _HEIF:
            return "heif"
    known = "JPEG, PNG, TIFF, WebP, AVIF, HEIC, BMP, GIF or raw"
    raise ValueError(f"it is not a {known} file" if head else "it is empty")


def _brands(head):
    """The brands of an ISO base media file: the major one, and those it is compatible with."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[start : start + 4] for start in range(16, end, 4))}


def check_size(width: int, height: int, *, file_size: int, max_pixels: int | None) -> None:
    """Refuses images that are too large to be decoded.

    Args:
      width: in pixels.
      height: in pixels.
      file_size: bytes of the file.
      max_pixels: the limit; None for `MAX_PIXELS` and, above `UNSUSPICIOUS_PIXELS`,
        `MAX_PIXELS_PER_BYTE` of the file (no more than a forged header or a blank page has).

    Raises:
      ValueError: there are more pixels than that.
    """
    count = width * height
    limit = MAX_PIXELS if max_pixels is None else max_pixels
    if count > limit:
        raise ValueError(
            f"{width} x {height} pixels are more than the limit of {limit}; "
            "max_pixels (--max-pixels) changes it"
        )
    if max_pixels is None and count > max(UNSUSPICIOUS_PIXELS, MAX_PIXELS_PER_BYTE * file_size):
        raise ValueError(
            f"{width} x {height} pixels in a file of {file_size} bytes are no photo but a "
            f"decompression bomb or a blank page; max_pixels (--max-pixels) of {count} reads it"
        )


@contextlib.contextmanager
def explain_missing_packages(*, what: str = "image files", extra: str = "images"):
    """Adds to the error of a missing package what to install.

    Args:
      what: what needs the package.
      extra: the extra that brings it.

    Raises:
      ImportError: instead of the block's `ModuleNotFoundError`.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{what} need {error.name}, which is not installed: "
            f'pip install "bilateral_jax[{extra}]"',
            name=error.name,
        ) from error

"""Encoders of the image formats, each with the package that handles it exactly.

JPEG: Pillow. PNG: OpenCV, with colour profile and EXIF added here. TIFF: tifffile. Each encoder
imports the packages that it needs.
"""

from __future__ import annotations

import zlib

import numpy as np

from bilateral_jax.images import exif as exif_lib
from bilateral_jax.images import formats

_PNG_HEADER = 33  # bytes of the signature and the first chunk


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
    with formats.explain_missing_packages():
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

    texts = exif_lib.if_readable(path, exif_lib.descriptions, exif) or {}
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
        exif_lib.if_readable(path, exif_lib.append_to_tiff, path, exif)

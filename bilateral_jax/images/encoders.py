"""Encoders of the image formats, each with the package that handles it exactly.

JPEG: Pillow. PNG: libpng within imagecodecs, with colour profile and metadata added here. TIFF:
tifffile. Each encoder imports the packages that it needs.
"""

from __future__ import annotations

import io

from bilateral_jax.images import exif as exif_lib
from bilateral_jax.images import (
    exif_in_tiff,
    formats,
    jpeg_segments,
    metadata,
    png_chunks,
    tiff_tags,
)
from bilateral_jax.images import photo as photo_lib

_PNG_HEADER = 33  # bytes of the signature and the first chunk
# Fast rather than small, with the settings (and so the bytes) of OpenCV.
_FAST_PNG = {"level": 1, "strategy": 3, "filter": 16}  # run lengths of differences in a row


def encode(path, photo: photo_lib.Photo, *, suffix: str, quality: int) -> list[str]:
    """Encodes a photo into a new file.

    Args:
      path: the file.
      photo: what to write, as `metadata.fit_metadata` returns it for this suffix.
      suffix: one of `images.SUFFIXES`; the format.
      quality: of JPEG, 1 to 100.

    Returns:
      Sentences about what is left out.

    Raises:
      OSError: the file cannot be written.
      ImportError: a package that the format needs is not installed.
    """
    notes: list[str] = []
    with formats.explain_missing_packages():
        if suffix in formats.JPEG_SUFFIXES:
            _write_jpeg(path, photo, quality)
        elif suffix == ".png":
            _write_png(path, photo)
        else:
            _write_tiff(path, photo, notes)
    return notes


def png(stored) -> bytes:
    """Encodes pixels as PNG.

    Args:
      stored: uint8 or uint16, contiguous: `[h, w]` grey, `[h, w, 2]` grey and alpha, `[h, w, 3]`
        RGB, or `[h, w, 4]` RGB and alpha.

    Returns:
      The content of a file.

    Raises:
      ImportError: imagecodecs is not installed.
    """
    import imagecodecs

    return bytes(imagecodecs.png_encode(stored, **_FAST_PNG))


def _write_jpeg(path, photo, quality):
    import PIL.Image

    comment = next((text.encode() for key, text in photo.texts if key == "Comment"), None)
    blocks = {
        "icc_profile": photo.icc_profile,
        "exif": photo.exif,
        "extra": jpeg_segments.encode(photo),
        "comment": comment,
        "dpi": _jpeg_resolution(photo.resolution),
    }
    blocks = {name: block for name, block in blocks.items() if block}
    # An alpha that comes here is opaque everywhere.
    image = PIL.Image.fromarray(photo_lib.stored_channels(photo_lib.without_alpha(photo)))
    encoded = io.BytesIO()  # into a file, Pillow would lose the reason for which writing fails
    image.save(encoded, "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2, **blocks)
    with open(path, "xb") as file:
        file.write(encoded.getbuffer())


def _jpeg_resolution(resolution):
    """Whole pixels per inch, as JPEG stores them; None where they do not fit."""
    rounded = tuple(round(value) for value in resolution or ())
    return rounded if rounded and all(0 < value < 65536 for value in rounded) else None


def _write_png(path, photo):
    encoded = png(photo_lib.stored_channels(photo))
    with open(path, "xb") as file:
        file.write(encoded[:_PNG_HEADER])
        file.write(png_chunks.encode_metadata(photo))
        file.write(encoded[_PNG_HEADER:])


def _write_tiff(path, photo, notes):
    import tifffile

    stored = photo_lib.stored_channels(photo)
    texts = exif_lib.descriptions(photo.exif).items()
    tags = [(tag, "s", 0, text.encode(), True) for tag, text in texts]
    blocks = {tiff_tags.XMP: photo.xmp, tiff_tags.IPTC: photo.iptc}
    tags += [(tag, 1, len(block), block, True) for tag, block in blocks.items() if block]
    big = stored.nbytes > metadata.LARGEST_CLASSIC_TIFF
    with tifffile.TiffWriter(path, bigtiff=big) as tiff:
        tiff.write(
            stored,
            photometric="minisblack" if photo.grey else "rgb",
            planarconfig="contig" if stored.ndim == 3 else None,
            extrasamples=None if photo.alpha is None else ["unassalpha"],
            compression="zlib",
            predictor=True,
            rowsperstrip=64,
            metadata=None,
            software=False,
            iccprofile=photo.icc_profile,
            resolution=photo.resolution,
            resolutionunit="INCH" if photo.resolution else None,
            extratags=tags,
        )
    if photo.exif:
        exif_lib.if_readable(notes, exif_in_tiff.append, path, photo.exif)

"""Metadata in the tags of a TIFF page: XMP, IPTC, resolution, colour space."""

from __future__ import annotations

from bilateral_jax.images import color_tags, metadata
from bilateral_jax.images import exif as exif_lib

XMP, IPTC, _PHOTOSHOP = 700, 33723, 34377
_TRANSFER, _WHITE, _PRIMARIES = 301, 318, 319


def attributes(file, page) -> dict:
    """Gives the metadata of a page as attributes of a `Photo`.

    Args:
      file: the file, open for reading bytes.
      page: tifffile's page.

    Returns:
      xmp, iptc, resolution.
    """
    iptc = _content(file, page, IPTC) or _content(file, page, _PHOTOSHOP)
    return {
        "xmp": _content(file, page, XMP),
        "iptc": metadata.iptc_of_photoshop(iptc) if iptc else None,
        "resolution": _resolution(page),
    }


def profile(page, *, grey: bool) -> bytes | None:
    """Finds the colour space of a page without an ICC profile.

    Args:
      page: tifffile's page, of RGB or grey.
      grey: it has one colour channel.

    Returns:
      As `color_tags.from_tiff`.

    Raises:
      ValueError: as `color_tags.from_tiff`.
    """
    primaries, white = (_fractions(page, number) for number in (_PRIMARIES, _WHITE))
    return color_tags.from_tiff(primaries, white, page.tags.valueof(_TRANSFER), grey=grey)


def _fractions(page, number):
    values = page.tags.valueof(number)
    if not isinstance(values, tuple) or len(values) % 2 or not all(values[1::2]):
        return None
    return [above / below for above, below in zip(values[::2], values[1::2], strict=True)]


def _content(file, page, number):
    """The bytes of a tag as stored: IPTC is often declared as integers."""
    tag = page.tags.get(number)
    if tag is None:
        return None
    file.seek(tag.valueoffset)
    return file.read(tag.valuebytecount) or None


def _resolution(page):
    values = []
    for number in (exif_lib.X_RESOLUTION, exif_lib.Y_RESOLUTION):
        fraction = page.tags.valueof(number)
        pair = isinstance(fraction, tuple) and len(fraction) == 2 and fraction[1]
        values.append(fraction[0] / fraction[1] if pair else None)
    unit = int(page.tags.valueof(exif_lib.RESOLUTION_UNIT, default=2))
    return exif_lib.pixels_per_inch(values, unit)

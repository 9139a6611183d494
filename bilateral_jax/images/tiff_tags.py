"""Metadata in the tags of a TIFF page: XMP, IPTC, resolution."""

from __future__ import annotations

from bilateral_jax.images import exif as exif_lib
from bilateral_jax.images import metadata

_XMP, _IPTC, _PHOTOSHOP = 700, 33723, 34377
_X_RESOLUTION, _Y_RESOLUTION, _UNIT = 282, 283, 296


def attributes(file, page) -> dict:
    """Gives the metadata of a page as attributes of a `Photo`.

    Args:
      file: the file, open for reading bytes.
      page: tifffile's page.

    Returns:
      xmp, iptc, resolution.
    """
    iptc = _content(file, page, _IPTC) or _content(file, page, _PHOTOSHOP)
    return {
        "xmp": _content(file, page, _XMP),
        "iptc": metadata.iptc_of_photoshop(iptc) if iptc else None,
        "resolution": _resolution(page),
    }


def _content(file, page, number):
    """The bytes of a tag as stored: IPTC is often declared as integers."""
    tag = page.tags.get(number)
    if tag is None:
        return None
    file.seek(tag.valueoffset)
    return file.read(tag.valuebytecount) or None


def _resolution(page):
    values = []
    for number in (_X_RESOLUTION, _Y_RESOLUTION):
        fraction = page.tags.valueof(number)
        pair = isinstance(fraction, tuple) and len(fraction) == 2 and fraction[1]
        values.append(fraction[0] / fraction[1] if pair else None)
    scale = {2: 1.0, 3: 2.54}.get(int(page.tags.valueof(_UNIT, default=2)))
    return exif_lib.pixels_per_inch(values, scale)

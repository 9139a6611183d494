"""Metadata beside EXIF: XMP, IPTC, text and resolution; what each format can hold of them.

XMP is a packet of XML. IPTC is a stream of IIM records; files wrap it in image resources of
Photoshop, which start with "8BIM". Texts are (keyword, text) as in PNG; a comment of JPEG or GIF
has the keyword "Comment". A resolution is (x, y) in pixels per inch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import struct

from bilateral_jax.images import exif as exif_lib
from bilateral_jax.images import formats
from bilateral_jax.images import photo as photo_lib

JPEG_SEGMENT = 65533  # bytes that one segment of a JPEG file holds
JPEG_XMP = JPEG_SEGMENT - 29  # without the name of the segment
_IPTC_RESOURCE = 0x0404
# Keywords of PNG that have a tag in TIFF and EXIF.
_TAGS = {"Title": 269, "Description": 270, "Software": 305, "Author": 315, "Copyright": 33432}
_REFERENCE = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'rdf:about="" xmlns:xmpNote="http://ns.adobe.com/xmp/note/" '
    b'xmpNote:HasExtendedXMP="%s"/></rdf:RDF></x:xmpmeta>'
)
LARGEST_CLASSIC_TIFF = 1 << 31  # bytes of pixels; larger files are written as BigTIFF


def iptc_of_photoshop(block: bytes) -> bytes | None:
    """Extracts the IPTC records from image resources of Photoshop.

    Args:
      block: the resources, with or without the header "Photoshop 3.0"; or IPTC records themselves.

    Returns:
      The records, or None if there are none.
    """
    block = bytes(block).removeprefix(b"Photoshop 3.0\x00")
    if block.startswith(b"\x1c"):
        return block
    start = 0
    while block[start : start + 4] == b"8BIM" and start + 12 <= len(block):
        number = struct.unpack_from(">H", block, start + 4)[0]
        name = block[start + 6] + 1
        start += 6 + name + name % 2
        if start + 4 > len(block):
            return None
        length = struct.unpack_from(">I", block, start)[0]
        if number == _IPTC_RESOURCE:
            return block[start + 4 : start + 4 + length] or None
        start += 4 + length + length % 2
    return None


def photoshop_of_iptc(iptc: bytes) -> bytes:
    """Wraps IPTC records in an image resource of Photoshop.

    Args:
      iptc: the records.

    Returns:
      The resource, without a header.
    """
    head = struct.pack(">4sHHI", b"8BIM", _IPTC_RESOURCE, 0, len(iptc))
    return head + iptc + bytes(len(iptc) % 2)


def upright_xmp(xmp: bytes | None) -> bytes | None:
    """Sets the orientation in an XMP packet to 1, for pixels that were turned upright.

    Args:
      xmp: the packet, or None.

    Returns:
      The packet of the same length; every other byte stays.
    """
    if not xmp:
        return xmp
    for pattern in (rb"(tiff:Orientation\s*=\s*[\"'])\d", rb"(<tiff:Orientation>\s*)\d"):
        xmp = re.sub(pattern, rb"\g<1>1", xmp)
    return xmp


def xmp_checksum(extension: bytes) -> bytes:
    """Computes the checksum by which an XMP packet names its extended part.

    Args:
      extension: the extended part.

    Returns:
      MD5 as 32 hexadecimal digits in upper case.
    """
    return hashlib.md5(extension, usedforsecurity=False).hexdigest().upper().encode()


def upright(attributes: dict, *, orientation: int | None = None) -> tuple[dict, int]:
    """Resets the orientation in the metadata, for pixels that are turned upright.

    Args:
      attributes: of a `Photo`, as the file has them.
      orientation: EXIF code; None for that of the EXIF block.

    Returns:
      (The attributes of the upright photo, the orientation that the pixels have.)
    """
    attributes = dict(attributes)
    if attributes.get("exif"):
        attributes["exif"], in_exif = exif_lib.reset_orientation(attributes["exif"])
        orientation = in_exif if orientation is None else orientation
    orientation = 1 if orientation is None else orientation
    if orientation != 1:
        attributes["xmp"] = upright_xmp(attributes.get("xmp"))
    if orientation in (5, 6, 7, 8) and attributes.get("resolution"):
        attributes["resolution"] = attributes["resolution"][::-1]
    return attributes, orientation


def of_pillow(image) -> dict:
    """Gives the metadata of an image that Pillow opened as attributes of a `Photo`.

    Args:
      image: JPEG, WebP, AVIF, HEIF, GIF or BMP.

    Returns:
      exif, xmp, iptc, texts, resolution.
    """
    info = image.info
    resources, exif = info.get("photoshop"), info.get("exif")
    comment = info.get("comment")
    comment = _decode(comment) if isinstance(comment, bytes) else comment
    return {
        "exif": exif_lib.HEADER + exif.removeprefix(exif_lib.HEADER) if exif else None,
        "xmp": info.get("xmp") or None,
        "iptc": resources.get(_IPTC_RESOURCE) if isinstance(resources, dict) else None,
        "texts": (("Comment", comment.rstrip("\x00")),) if comment else (),
        "resolution": _resolution_of_pillow(info),
    }


def _decode(text):
    """Decodes a comment, whose encoding no format states: UTF-8, else Latin-1."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _resolution_of_pillow(info):
    unit, density = info.get("jfif_unit", 0), info.get("jfif_density", (0, 0))
    if unit in (1, 2) and all(density):
        return tuple(float(value) * (2.54 if unit == 2 else 1) for value in density)
    if "jfif" in info or "exif" in info or "dpi" not in info:  # Pillow may make it up from EXIF
        return exif_lib.resolution(info.get("exif"))
    dpi = tuple(float(value) for value in info["dpi"])
    return dpi if all(dpi) else None


def fit_metadata(photo: photo_lib.Photo, suffix: str) -> tuple[photo_lib.Photo, list[str]]:
    """Fits the metadata of a photo to a format: moves text to EXIF, leaves out what has no place.

    Args:
      photo: the photo.
      suffix: of the file to be written, in lower case.

    Returns:
      (The photo with what the format holds, sentences about what is left out.)
    """
    notes: list[str] = []
    if suffix in formats.JPEG_SUFFIXES:
        photo = _fit_jpeg(photo, notes)
    elif photo.xmp_extension and photo.xmp == _reference(photo.xmp_extension):
        photo = dataclasses.replace(photo, xmp=photo.xmp_extension, xmp_extension=None)
    elif photo.xmp_extension:
        photo = dataclasses.replace(photo, xmp=_without_extension(photo.xmp), xmp_extension=None)
        notes.append("the extended part of XMP is left out: only JPEG holds it")
    if suffix in formats.TIFF_SUFFIXES:
        photo = _fit_tiff(photo, notes)
    return photo, notes


def _fit_jpeg(photo, notes):
    changes = {}
    if photo.exif and len(photo.exif) > JPEG_SEGMENT:
        size = f"EXIF of {len(photo.exif):,} bytes is too long for JPEG ({JPEG_SEGMENT:,})"
        smaller = exif_lib.if_readable(notes, exif_lib.without_maker_note, photo.exif)
        if smaller and len(smaller) <= JPEG_SEGMENT:
            changes["exif"] = smaller
            notes.append(f"{size}: the maker note is left out")
        else:
            changes["exif"] = None
            notes.append(f"{size}: it is left out")
    if photo.xmp and len(photo.xmp) > JPEG_XMP:
        changes |= {"xmp": _reference(photo.xmp), "xmp_extension": photo.xmp}
    if photo.iptc and len(photo.iptc) > JPEG_SEGMENT - 30:
        changes["iptc"] = None
        notes.append(f"IPTC of {len(photo.iptc):,} bytes is too long for JPEG: it is left out")
    photo = dataclasses.replace(photo, **changes)
    comments = [text for keyword, text in photo.texts if keyword == "Comment"][:1]
    comments = [text for text in comments if len(text.encode()) <= JPEG_SEGMENT]
    return _texts_as_tags(photo, "JPEG", [("Comment", text) for text in comments], notes)


def _fit_tiff(photo, notes):
    if photo.exif:
        texts = exif_lib.if_readable(notes, exif_lib.descriptions, photo.exif)
        if texts is None or photo.stored_bytes() > LARGEST_CLASSIC_TIFF:
            if texts is not None:
                notes.append(
                    "EXIF is left out: files over 2 GB are BigTIFF, which is written without it"
                )
            photo = dataclasses.replace(photo, exif=None)
    return _texts_as_tags(photo, "TIFF", [], notes)


def _texts_as_tags(photo, name, kept, notes):
    """Moves texts that have a tag to the EXIF of a photo without EXIF; notes those that are lost.

    EXIF that the photo has stays as it is, since encoding it anew would break maker notes: of the
    texts, only those that it holds already are not lost.
    """
    if not photo.texts:
        return photo
    tags = exif_lib.if_readable(notes, exif_lib.descriptions, photo.exif) or {}
    if not photo.exif:
        texts = {_TAGS[key]: text for key, text in reversed(photo.texts) if key in _TAGS}
        photo = dataclasses.replace(photo, exif=exif_lib.of_texts(texts) if texts else None)
        tags = texts
    lost = [
        keyword
        for keyword, text in photo.texts
        if (keyword, text) not in kept and tags.get(_TAGS.get(keyword)) != text
    ]
    if lost:
        named = ", ".join(dict.fromkeys(lost))
        notes.append(f"{name} has no place for the text of PNG named {named}: it is left out")
    return dataclasses.replace(photo, texts=tuple(kept))


def _reference(packet):
    """A small XMP packet that refers to a long one, which is its extended part."""
    return _REFERENCE % xmp_checksum(packet)


def _without_extension(xmp):
    """Removes the reference of an XMP packet to its extended part."""
    return (
        re.sub(rb"\s*xmpNote:HasExtendedXMP\s*=\s*([\"'])[0-9A-Fa-f]*\1", b"", xmp or b"") or None
    )

"""Segments of JPEG files: XMP with its extended part, IPTC (Adobe XMP specification, part 3)."""

from __future__ import annotations

import struct

from bilateral_jax.images import metadata
from bilateral_jax.images import photo as photo_lib

_XMP = b"http://ns.adobe.com/xap/1.0/\x00"
_EXTENSION = b"http://ns.adobe.com/xmp/extension/\x00"
_HEAD = 40  # bytes: checksum in hexadecimal, length, offset
_PIECE = 65400


def extended_xmp(segments, xmp: bytes | None) -> bytes | None:
    """Joins the extended part of a long XMP packet.

    Args:
      segments: list of (name, content), as Pillow's `applist`.
      xmp: the main packet, which names the part by its MD5 checksum.

    Returns:
      The extended packet; None if there is none, or it is incomplete or damaged.
    """
    pieces, total = {}, 0
    for name, content in segments:
        if name != "APP1" or not content.startswith(_EXTENSION):
            continue
        content = content[len(_EXTENSION) :]
        if len(content) < _HEAD or content[:32] not in (xmp or b""):
            continue
        total, offset = struct.unpack_from(">II", content, 32)
        pieces[offset] = content[_HEAD:]
    joined = b"".join(pieces[offset] for offset in sorted(pieces))
    named = metadata.xmp_checksum(joined) in (xmp or b"").upper()
    complete = joined and len(joined) == total and named
    return joined if complete else None


def encode(photo: photo_lib.Photo) -> bytes:
    """Encodes the segments of XMP and IPTC of a photo.

    Args:
      photo: as `metadata.fit_metadata` returns it for JPEG.

    Returns:
      The segments, which follow the header of a JPEG file.
    """
    contents = []
    if photo.xmp:
        contents.append((b"\xff\xe1", _XMP + photo.xmp))
    extension = photo.xmp_extension or b""
    checksum = metadata.xmp_checksum(extension)
    for start in range(0, len(extension), _PIECE):
        head = checksum + struct.pack(">II", len(extension), start)
        contents.append((b"\xff\xe1", _EXTENSION + head + extension[start : start + _PIECE]))
    if photo.iptc:
        resource = metadata.photoshop_of_iptc(photo.iptc)
        contents.append((b"\xff\xed", b"Photoshop 3.0\x00" + resource))
    return b"".join(
        marker + struct.pack(">H", len(content) + 2) + content for marker, content in contents
    )

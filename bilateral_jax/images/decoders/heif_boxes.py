"""Boxes of HEIF and AVIF files: depth and colour space (ISO/IEC 14496-12 and 23008-12)."""

from __future__ import annotations

import os
import struct

from bilateral_jax.images import color_tags

_LARGEST = 64 << 20  # bytes of the metadata


def properties(file) -> list[tuple[bytes, bytes]]:
    """Lists the properties of the images in a file.

    Args:
      file: open for reading bytes.

    Returns:
      (Name, content) of the boxes meta / iprp / ipco / *, in their order.

    Raises:
      ValueError: the file is truncated: a box of the file ends behind it.
    """
    found = []
    for name, content in _top_level(file):
        if name == b"meta":
            for inner, below in _boxes(content[4:]):
                if inner == b"iprp":
                    for container, listed in _boxes(below):
                        found += _boxes(listed) if container == b"ipco" else []
    return found


def profile(found) -> bytes | None:
    """Finds the colour space of an image without an ICC profile.

    Args:
      found: as `properties` returns it.

    Returns:
      An ICC profile; None for sRGB, or where nothing is said.

    Raises:
      ValueError: as `color_tags.from_code_points`.
    """
    for name, content in found:
        if name == b"colr" and content[:4] == b"nclx":
            return color_tags.from_code_points(*struct.unpack_from(">HH", content, 4))
    return None


def av1_bits(found) -> int:
    """Returns the bits per channel of an AV1 image: 8, 10 or 12.

    Args:
      found: as `properties` returns it.
    """
    for name, content in found:
        if name == b"av1C" and len(content) >= 3:
            return (12 if content[2] & 0x20 else 10) if content[2] & 0x40 else 8
    return 8


def _top_level(file):
    """Yields the boxes of a file; the content of all but `meta` is passed over."""
    size, start = file.seek(0, os.SEEK_END), 0
    while start + 8 <= size:
        file.seek(start)
        length, name = struct.unpack(">I4s", file.read(8))
        head = 8
        if length == 1:
            length, head = struct.unpack(">Q", file.read(8))[0], 16
        length = size - start if length == 0 else length
        if length < head or start + length > size:
            raise ValueError("its data are truncated")
        if name == b"meta" and length <= _LARGEST:
            yield name, file.read(length - head)
        start += length


def _boxes(content):
    start, found = 0, []
    while start + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, start)
        if length < 8:
            break
        found.append((name, content[start + 8 : start + length]))
        start += length
    return found

"""PNG, by libpng within imagecodecs, which refuses damaged and missing rows."""

from __future__ import annotations

import os
import struct
import zlib

from bilateral_jax.images import exif as exif_lib
from bilateral_jax.images import headers, profiles

_SIGNATURE = 8  # bytes
_LARGEST_METADATA = 64 << 20  # bytes; what is longer is no metadata of a photo


def plan(file, *, label, first_frame) -> headers.Plan:
    """Prepares the decoding of a PNG file; see `plans.plan`."""
    del label
    chunks = dict(reversed(metadata_chunks(file)))  # of several with one name, the first counts
    width, height, bits = struct.unpack_from(">IIB", chunks[b"IHDR"])
    frames = struct.unpack_from(">I", chunks.get(b"acTL", b"\0\0\0\1"))[0]
    if frames > 1 and not first_frame:
        raise ValueError(headers.several_frames(frames, "frames"))
    profile = _profile(chunks.get(b"iCCP"))
    exif, orientation = chunks.get(b"eXIf"), 1
    if exif:
        block = exif_lib.HEADER + exif.removeprefix(exif_lib.HEADER)
        exif, orientation = exif_lib.reset_orientation(block)

    def decode():
        import imagecodecs

        file.seek(0)
        try:
            stored = imagecodecs.png_decode(file.read())
        except imagecodecs.PngError as error:
            raise ValueError(f"its data are damaged or truncated ({error})") from error
        return profiles.photo(exif_lib.turn(stored, orientation), profile, exif=exif or None)

    return headers.Plan(
        headers.upright(width, height, orientation, 16 if bits == 16 else 8), decode
    )


def metadata_chunks(file) -> list[tuple[bytes, bytes]]:
    """Reads the chunks of a PNG file except for the pixels.

    Args:
      file: open for reading bytes.

    Returns:
      (Name, content) in the order of the file, the header first.

    Raises:
      ValueError: the header is broken, or the file ends before its end chunk.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(_SIGNATURE)
    chunks, name = [], b""
    while name != b"IEND":
        head = file.read(8)
        length, name = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        if not name or file.tell() + length + 4 > size:
            raise ValueError("its data are truncated")
        if name in (b"IDAT", b"fdAT") or length > _LARGEST_METADATA:
            file.seek(length + 4, os.SEEK_CUR)
            continue
        content, checksum = file.read(length), file.read(4)
        if (not chunks or name == b"IHDR") and not _is_header(name, content, checksum):
            raise ValueError("its header is broken")
        chunks.append((name, content))
    return chunks


def _is_header(name, content, checksum):
    return name == b"IHDR" and struct.pack(">I", zlib.crc32(name + content)) == checksum


def _profile(chunk):
    """Decompresses an iCCP chunk: a name, a zero, the method (0) and the profile."""
    if chunk is None:
        return None
    _, _, content = chunk.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(content[1:], _LARGEST_METADATA)
    except zlib.error as error:
        raise ValueError(f"its colour profile is broken ({error})") from error

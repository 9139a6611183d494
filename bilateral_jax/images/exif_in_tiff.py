"""EXIF metadata of TIFF files, whose own directories hold what other formats store as a block."""

from __future__ import annotations

import os
import struct

from bilateral_jax.images import exif as exif_lib

_DIRECTORIES = (exif_lib.EXIF_DIRECTORY, exif_lib.GPS_DIRECTORY)


def read(file) -> bytes | None:
    """Collects the EXIF metadata of a TIFF file into one block.

    Args:
      file: a TIFF file, open for reading bytes.

    Returns:
      The block, without an orientation; None if there are no metadata.
    """
    import PIL.Image

    source, block = PIL.Image.Exif(), PIL.Image.Exif()
    file.seek(0)
    source.load_from_fp(file)
    for tag in exif_lib.DESCRIPTIONS:
        if tag in source:
            block[tag] = source[tag]
    for tag in _DIRECTORIES:
        if tag in source and source.get_ifd(tag):
            block[tag] = dict(source.get_ifd(tag))
    return block.tobytes() if len(block) else None


def append(path, block: bytes) -> None:
    """Adds the EXIF and GPS directories of a block to a TIFF file; tifffile cannot write them.

    They are appended to the file, and behind them a copy of its first directory that points to them
    and becomes the first directory.

    Args:
      path: a little-endian classic TIFF file, changed in place.
      block: an EXIF block.

    Raises:
      ValueError: the file is another kind of TIFF.
    """
    import PIL.Image
    from PIL import TiffImagePlugin

    exif = PIL.Image.Exif()
    exif.load(block)
    contents = {tag: exif.get_ifd(tag) for tag in _DIRECTORIES if tag in exif}
    if not any(contents.values()):
        return
    with open(path, "r+b") as file:
        if file.read(4) != b"II*\x00":
            raise ValueError(f"{path} is not a little-endian classic TIFF")
        file.seek(struct.unpack("<I", file.read(4))[0])
        count = struct.unpack("<H", file.read(2))[0]
        entries = [file.read(12) for _ in range(count)]
        following = file.read(4)
        for tag, content in contents.items():
            if not content:
                continue
            directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\x00\x08\x00\x00\x00", group=tag)
            for key, value in content.items():
                directory[key] = value
            offset = _aligned_end(file)
            file.write(directory.tobytes(offset))
            entries.append(struct.pack("<HHII", tag, 4, 1, offset))
        offset = _aligned_end(file)
        entries.sort(key=lambda entry: struct.unpack_from("<H", entry))  # by tag
        file.write(struct.pack("<H", len(entries)) + b"".join(entries) + following)
        file.seek(4)
        file.write(struct.pack("<I", offset))


def _aligned_end(file) -> int:
    """Seeks the end of the file, padded to an even offset."""
    if file.seek(0, os.SEEK_END) % 2:
        file.write(b"\x00")
    return file.tell()

"""EXIF metadata as blocks of bytes: orientation, and reading from and writing to TIFF.

JPEG and PNG hold EXIF as one block that is itself a small TIFF; a TIFF file holds the same metadata
in its own directories. A block here starts with the six bytes "Exif" and two zeros.
"""

from __future__ import annotations

import os
import struct
import warnings

import numpy as np

HEADER = b"Exif\x00\x00"

ORIENTATION = 274  # TIFF tag
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_EXIF_DIRECTORY, _GPS_DIRECTORY, _MAKER_NOTE = 34665, 34853, 37500
# Text tags of a TIFF about the photo: title, description, make, model, software, date, artist,
# copyright.
_DESCRIPTIONS = (269, 270, 271, 272, 305, 306, 315, 33432)


def reset_orientation(exif: bytes) -> tuple[bytes, int]:
    """Sets the orientation to 1 and unlinks the thumbnail; every other byte stays.

    Args:
      exif: a block, with or without its header.

    Returns:
      (The new block, the orientation that it had.) A block without a readable directory is returned
      as it is, with orientation 1.
    """
    block = bytearray(exif)
    start = len(HEADER) if exif.startswith(HEADER) else 0
    order = {b"II": "<", b"MM": ">"}.get(bytes(block[start : start + 2]))
    if order is None or len(block) < start + 10:
        return exif, 1
    directory = start + struct.unpack_from(order + "I", block, start + 4)[0]
    if directory + 2 > len(block):
        return exif, 1
    count = struct.unpack_from(order + "H", block, directory)[0]
    end = directory + 2 + 12 * count
    orientation = 1
    for entry in range(directory + 2, min(end, len(block) - 11), 12):
        if struct.unpack_from(order + "H", block, entry)[0] == ORIENTATION:
            orientation = struct.unpack_from(order + "H", block, entry + 8)[0]
            struct.pack_into(order + "H", block, entry + 8, 1)
    if end + 4 <= len(block):
        # The thumbnail shows the stored image, not the upright (or enhanced) one.
        struct.pack_into(order + "I", block, end, 0)
    return bytes(block), orientation


def turn(pixels, orientation: int):
    """Applies an EXIF orientation: rotates and mirrors stored pixels upright.

    Args:
      pixels: `[h, w, c]` as stored.
      orientation: EXIF code in 1..8; any other is ignored.

    Returns:
      The upright image, contiguous.
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def from_tiff(file) -> bytes | None:
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
    for tag in _DESCRIPTIONS:
        if tag in source:
            block[tag] = source[tag]
    for tag in (_EXIF_DIRECTORY, _GPS_DIRECTORY):
        if tag in source and source.get_ifd(tag):
            block[tag] = dict(source.get_ifd(tag))
    return block.tobytes() if len(block) else None


def descriptions(block: bytes | None) -> dict[int, str]:
    """Lists the text tags (make, model, date, ...) of a block.

    Args:
      block: a block, or None for none.

    Returns:
      Tag number -> text.
    """
    import PIL.Image

    exif = PIL.Image.Exif()
    if block:
        exif.load(block)
    return {tag: _utf8(str(exif[tag])) for tag in _DESCRIPTIONS if tag in exif}


def _utf8(text):
    """Decodes text that is UTF-8, as many programs write it; Pillow takes all text for Latin-1."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def of_texts(texts: dict[int, str]) -> bytes:
    """Makes a block of text tags.

    Args:
      texts: tag number -> text.

    Returns:
      The block.
    """
    import PIL.Image

    exif = PIL.Image.Exif()
    for tag, text in texts.items():
        exif[tag] = text if text.isascii() else text.encode()
    return exif.tobytes()


def resolution(block: bytes | None) -> tuple[float, float] | None:
    """Reads the resolution of a block.

    Args:
      block: a block, or None for none.

    Returns:
      (x, y) in pixels per inch, or None, also for a block that is broken.
    """
    values = [None, None]
    for tag in (_X_RESOLUTION, _Y_RESOLUTION):
        content = find(block, (), tag)
        if content and len(content) == 8:
            order = "<" if block.removeprefix(HEADER).startswith(b"II") else ">"
            above, below = struct.unpack(order + "II", content)
            values[tag - _X_RESOLUTION] = above / below if below else None
    content = find(block, (), _RESOLUTION_UNIT)
    unit = max(content[:2]) if content else 2  # in either byte order
    return pixels_per_inch(values, {2: 1.0, 3: 2.54}.get(unit))


def find(block: bytes | None, directories, tag: int) -> bytes | None:
    """Finds a tag in a block without decoding the others.

    Args:
      block: a block, or None for none.
      directories: tags that lead to the directory of the tag, from the first directory on.
      tag: its number.

    Returns:
      The value's bytes in the order of the block; None if it is absent or the block is broken.
    """
    block = (block or b"").removeprefix(HEADER)
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return None
    try:
        start = struct.unpack_from(order + "I", block, 4)[0]
        for wanted in (*directories, tag):
            content = _entry(block, order, start, wanted)
            if content is None or wanted == tag:
                return content
            start = struct.unpack(order + "I", content)[0]
    except struct.error:
        return None


def _entry(block, order, start, wanted):
    """The value's bytes of a tag in the directory at an offset, or None."""
    for index in range(struct.unpack_from(order + "H", block, start)[0]):
        entry = start + 2 + 12 * index
        tag, kind, count = struct.unpack_from(order + "HHI", block, entry)
        if tag == wanted:
            length = count * {3: 2, 4: 4, 5: 8}.get(kind, 1)
            place = struct.unpack_from(order + "I", block, entry + 8)[0]
            place = entry + 8 if length <= 4 else place
            return block[place : place + length]
    return None


def pixels_per_inch(values, scale: float | None) -> tuple[float, float] | None:
    """Converts a resolution.

    Args:
      values: horizontal and vertical; either may be None.
      scale: to pixels per inch; None for an unknown unit.

    Returns:
      (x, y), or None unless both are positive and finite.
    """
    if scale is None or None in values:
        return None
    x, y = (float(value) * scale for value in values)
    return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None


def without_maker_note(block: bytes) -> bytes | None:
    """Encodes a block anew without the maker's own data and the thumbnail.

    Args:
      block: a block.

    Returns:
      The smaller block; None if nothing is left.
    """
    import PIL.Image

    source, smaller = PIL.Image.Exif(), PIL.Image.Exif()
    source.load(block)
    for tag, value in source.items():
        if tag not in (_EXIF_DIRECTORY, _GPS_DIRECTORY):
            smaller[tag] = value
    for tag in (_EXIF_DIRECTORY, _GPS_DIRECTORY):
        content = {key: v for key, v in source.get_ifd(tag).items() if key != _MAKER_NOTE}
        if content:
            smaller[tag] = content
    return smaller.tobytes() if len(smaller) else None


def append_to_tiff(path, block: bytes) -> None:
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
    contents = {tag: exif.get_ifd(tag) for tag in (_EXIF_DIRECTORY, _GPS_DIRECTORY) if tag in exif}
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


def if_readable(label, function, *arguments):
    """Calls a function on EXIF metadata; what it cannot parse is left out, with a warning.

    Args:
      label: the file's name in the warning.
      function: what to call.
      *arguments: of the function.

    Returns:
      The function's result, or None.
    """
    try:
        return function(*arguments)
    except (SyntaxError, ValueError, LookupError, TypeError, struct.error) as error:
        warnings.warn(f"{label}: unreadable EXIF is left out ({error})", stacklevel=6)
        return None

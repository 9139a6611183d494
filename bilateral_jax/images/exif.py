"""EXIF metadata as blocks of bytes: orientation, resolution, text.

JPEG and PNG hold EXIF as one block that is itself a small TIFF. A block here starts with the six
bytes "Exif" and two zeros.
"""

from __future__ import annotations

import struct

import numpy as np

HEADER = b"Exif\x00\x00"

# Tags of TIFF and EXIF.
ORIENTATION = 274
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
EXIF_DIRECTORY, GPS_DIRECTORY, _MAKER_NOTE = 34665, 34853, 37500
# Those of text about the photo: title, description, make, model, software, date, artist,
# copyright.
DESCRIPTIONS = (269, 270, 271, 272, 305, 306, 315, 33432)


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
    order = _byte_order(exif)
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
    return {tag: _utf8(str(exif[tag])) for tag in DESCRIPTIONS if tag in exif}


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
    order = _byte_order(block)
    if order is None:
        return None
    values = []
    for tag in (X_RESOLUTION, Y_RESOLUTION):
        content = find(block, (), tag) or b""
        above, below = struct.unpack(order + "II", content) if len(content) == 8 else (0, 0)
        values.append(above / below if below else None)
    unit = find(block, (), RESOLUTION_UNIT) or b""
    name = "little" if order == "<" else "big"
    return pixels_per_inch(values, int.from_bytes(unit[:2], name) if unit else 2)


def _byte_order(block):
    """The byte order of a block as `struct` names it; None if there is none."""
    return {b"II": "<", b"MM": ">"}.get((block or b"").removeprefix(HEADER)[:2])


def find(block: bytes | None, directories, tag: int) -> bytes | None:
    """Finds a tag in a block without decoding the others.

    Args:
      block: a block, or None for none.
      directories: tags that lead to the directory of the tag, from the first directory on.
      tag: its number.

    Returns:
      The value's bytes in the order of the block; None if it is absent or the block is broken.
    """
    order = _byte_order(block)
    if order is None:
        return None
    block = block.removeprefix(HEADER)
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
            offset = struct.unpack_from(order + "I", block, entry + 8)[0]
            offset = entry + 8 if length <= 4 else offset
            return block[offset : offset + length]
    return None


def pixels_per_inch(values, unit: int) -> tuple[float, float] | None:
    """Converts a resolution.

    Args:
      values: horizontal and vertical; either may be None.
      unit: as TIFF encodes it: 2 is inch, 3 is centimetre.

    Returns:
      (x, y) in pixels per inch; None unless the unit is known and both are positive and finite.
    """
    scale = {2: 1.0, 3: 2.54}.get(unit)
    if scale is None or None in values:
        return None
    x, y = (float(value) * scale for value in values)
    return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None


def without_maker_note(block: bytes) -> bytes | None:
    """Encodes a block anew without maker note and thumbnail.

    Args:
      block: a block.

    Returns:
      The smaller block; None if nothing is left.
    """
    import PIL.Image

    source, smaller = PIL.Image.Exif(), PIL.Image.Exif()
    source.load(block)
    for tag, value in source.items():
        if tag not in (EXIF_DIRECTORY, GPS_DIRECTORY):
            smaller[tag] = value
    for tag in (EXIF_DIRECTORY, GPS_DIRECTORY):
        content = {key: v for key, v in source.get_ifd(tag).items() if key != _MAKER_NOTE}
        if content:
            smaller[tag] = content
    return smaller.tobytes() if len(smaller) else None


def if_readable(notes: list[str], function, *arguments):
    """Calls a function on EXIF metadata; what it cannot parse is left out, and noted.

    Args:
      notes: a sentence is appended to it if the metadata cannot be parsed.
      function: what to call.
      *arguments: of the function.

    Returns:
      The function's result, or None.
    """
    try:
        return function(*arguments)
    except (SyntaxError, ValueError, LookupError, TypeError, struct.error) as error:
        notes.append(f"unreadable EXIF is left out ({error})")
        return None

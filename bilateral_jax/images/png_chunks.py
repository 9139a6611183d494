"""Chunks of PNG files: colour space, text, resolution, EXIF, XMP, IPTC (PNG, third edition)."""

from __future__ import annotations

import os
import struct
import zlib

from bilateral_jax.images import exif as exif_lib
from bilateral_jax.images import metadata
from bilateral_jax.images import photo as photo_lib

_SIGNATURE = 8  # bytes
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_XMP = "XML:com.adobe.xmp"
_RAW = "Raw profile type "  # binary metadata as hexadecimal text, a custom of ImageMagick
_LARGEST = 64 << 20  # bytes of a chunk, also unpacked; what is longer is no metadata of a photo


def read(file) -> dict:
    """Reads and decodes the chunks of a PNG file except for the pixels.

    Args:
      file: open for reading bytes.

    Returns:
      Name -> content, of several chunks with one name the first; but "iCCP": the ICC profile,
      unpacked; "text": list of (keyword, text) of all chunks of text; and "notes": sentences about
      broken ones, which are left out.

    Raises:
      ValueError: the header or the colour profile is broken, or the file ends before its end chunk.
    """
    chunks = {"text": [], "notes": []}
    for kind, content in _chunks(file):
        name = kind.decode("latin-1")
        if kind == b"iCCP" and name not in chunks:
            try:
                chunks[name] = _unpack(content.partition(b"\0")[2][1:])
            except (ValueError, zlib.error) as error:
                raise ValueError(f"its colour profile is broken ({error})") from error
        elif kind in _TEXT:
            try:
                chunks["text"].append(_text(kind, content))
            except (ValueError, zlib.error) as error:
                chunks["notes"].append(f"a broken {name} chunk is left out ({error})")
        else:
            chunks.setdefault(name, content)
    return chunks


def _chunks(file):
    """The chunks except for the pixels, (name, content) in the order of the file, header first."""
    size = file.seek(0, os.SEEK_END)
    file.seek(_SIGNATURE)
    chunks, name = [], b""
    while name != b"IEND":
        head = file.read(8)
        length, name = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        if not name or file.tell() + length + 4 > size:
            raise ValueError("its data are truncated")
        if name in (b"IDAT", b"fdAT") or length > _LARGEST:
            file.seek(length + 4, os.SEEK_CUR)
            continue
        content, checksum = file.read(length), file.read(4)
        if (not chunks or name == b"IHDR") and not _is_header(name, content, checksum):
            raise ValueError("its header is broken")
        chunks.append((name, content))
    return chunks


def without_metadata(file) -> bytes:
    """Copies what the pixels of a PNG file are decoded from; libpng prints complaints of the rest.

    Args:
      file: open for reading bytes; complete, as `read` checks.

    Returns:
      The content of a PNG file of the header, the palette, its transparency and the data.
    """
    file.seek(0)
    parts, name = [file.read(_SIGNATURE)], b""
    while name != b"IEND":
        head = file.read(8)
        length, name = struct.unpack(">I4s", head)
        if name in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            parts += [head, file.read(length + 4)]
        else:
            file.seek(length + 4, os.SEEK_CUR)
    return b"".join(parts)


def _is_header(name, content, checksum):
    return name == b"IHDR" and struct.pack(">I", zlib.crc32(name + content)) == checksum


def _text(kind, content):
    """Decodes a chunk of text to (keyword, text)."""
    keyword, separator, rest = content.partition(b"\x00")
    if not separator:
        raise ValueError("it has no keyword")
    if kind == b"zTXt":
        rest = _unpack(rest[1:])
    if kind == b"iTXt":
        packed = rest[:1] == b"\x01"
        _, _, rest = rest[2:].partition(b"\x00")  # language
        _, _, rest = rest.partition(b"\x00")  # translated keyword
        rest = _unpack(rest) if packed else rest
    encoding = "utf-8" if kind == b"iTXt" else "latin-1"
    return keyword.decode("latin-1"), rest.decode(encoding, "replace")


def _unpack(packed):
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(packed, _LARGEST)
    if not unpacker.eof:
        raise ValueError("it is truncated, or larger than 64 MB unpacked")
    return content


def attributes(chunks) -> dict:
    """Gives the metadata of a PNG file as attributes of a `Photo`.

    Args:
      chunks: as `read` returns them.

    Returns:
      exif, xmp, iptc, texts, resolution, notes.
    """
    raw, xmp, texts = {}, None, []
    for keyword, text in chunks["text"]:
        if keyword == _XMP:
            xmp = xmp or text.encode()
        elif keyword.startswith(_RAW):
            raw.setdefault(keyword.removeprefix(_RAW).lower(), _from_hexadecimal(text))
        else:
            texts.append((keyword, text))
    app1 = raw.get("app1") or b""
    exif = chunks.get("eXIf") or raw.get("exif") or (app1 if app1.startswith(b"Exif") else None)
    return {
        "exif": exif_lib.HEADER + exif.removeprefix(exif_lib.HEADER) if exif else None,
        "xmp": xmp or raw.get("xmp"),
        "iptc": metadata.iptc_of_photoshop(raw.get("iptc") or b""),
        "texts": tuple(texts),
        "resolution": _resolution(chunks.get("pHYs")),
        "notes": tuple(chunks["notes"]),
    }


def _resolution(content):
    if not content or len(content) < 9:
        return None
    x, y, unit = struct.unpack(">IIB", content[:9])
    if unit != 1 or not (x and y):  # 0: only the aspect ratio is known
        return None
    # A whole number of pixels per inch was rounded to one per metre.
    inches = [value * 0.0254 for value in (x, y)]
    return tuple(float(round(v)) if abs(v - round(v)) < 0.0128 else v for v in inches)


def _from_hexadecimal(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    try:
        return bytes.fromhex("".join(lines[2:]))  # behind the name and the length
    except ValueError:
        return None


def encode_metadata(photo: photo_lib.Photo) -> bytes:
    """Encodes the chunks that carry a photo's colour profile and metadata.

    Args:
      photo: as `metadata.fit_metadata` returns it for PNG.

    Returns:
      The chunks, which follow the first one of a file.
    """
    chunks = []
    if photo.icc_profile:
        chunks.append((b"iCCP", b"ICC\0\0" + zlib.compress(photo.icc_profile)))
    if photo.resolution:
        values = [round(value / 0.0254) for value in photo.resolution]
        chunks.append((b"pHYs", struct.pack(">IIB", *values, 1)))
    if photo.exif:
        chunks.append((b"eXIf", photo.exif.removeprefix(exif_lib.HEADER)))
    if photo.xmp:
        chunks.append((b"iTXt", _XMP.encode() + bytes(5) + photo.xmp))
    if photo.iptc:
        content = metadata.photoshop_of_iptc(photo.iptc)
        text = f"\niptc\n{len(content):8d}\n{content.hex()}\n".encode()
        chunks.append((b"zTXt", f"{_RAW}iptc".encode() + bytes(2) + zlib.compress(text)))
    for keyword, text in photo.texts:
        chunks.append(_encoded_text(keyword, text))
    return b"".join(_encoded(kind, content) for kind, content in chunks)


def _encoded_text(keyword, text):
    key = keyword.encode("latin-1", "replace")[:79] or b"Comment"
    try:
        return b"tEXt", key + b"\x00" + text.replace("\x00", "").encode("latin-1")
    except UnicodeEncodeError:
        return b"iTXt", key + bytes(5) + text.encode()


def _encoded(kind, content):
    """A chunk: length, name, content and checksum."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

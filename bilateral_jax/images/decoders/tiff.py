"""TIFF, by tifffile with the codecs of imagecodecs; raw files of cameras are passed to `raw`."""

from __future__ import annotations

import logging
import math
import os

import numpy as np

from bilateral_jax.images import exif as exif_lib
from bilateral_jax.images import exif_in_tiff, headers, metadata, profiles, tiff_tags
from bilateral_jax.images.decoders import jpeg, raw, tiff_pages, tiff_subsampled

_ICC, _INK_SET, _LAYERS = 34675, 332, 37724  # tags
_UNCOMPRESSED, _JPEG = 1, (6, 7)
_YCBCR = 6
# Photometric interpretation -> (what it is, colour channels).
_COLORS = {
    0: ("white is zero", 1),
    1: ("grey", 1),
    2: ("RGB", 3),
    3: ("palette", 1),
    5: ("CMYK", 4),
    6: ("YCbCr", 3),
    8: ("Lab", 3),
    9: ("Lab", 3),  # ICC's encoding: a and b plus 128
}
_SIGNED_LAB = 8
_PREMULTIPLIED, _STRAIGHT = 1, 2  # kinds of extra samples
_GREY_BITS = (1, 2, 4, 8, 10, 12, 14, 16)
_BITS = {"grey": _GREY_BITS, "white is zero": _GREY_BITS, "RGB": (8, 10, 12, 14, 16)}
_BITS |= {"palette": (1, 2, 4, 8), "Lab": (8,), "YCbCr": (8,), "CMYK": (8, 16)}


def plan(file, *, first_frame: bool) -> headers.Plan:
    """Prepares the decoding of a TIFF file.

    Args:
      file: open for reading bytes; it must stay open until the pixels are decoded.
      first_frame: accept several frames or pages, and take the first.

    Returns:
      The plan.

    Raises:
      ValueError: as `plans.plan`.
      ImportError: a package that the format needs is not installed.
    """
    import imagecodecs  # noqa: F401, without it tifffile has few codecs
    import tifffile

    # What it logs of broken files is raised or does not matter; it would go to the terminal.
    if not tifffile.logger().handlers:
        tifffile.logger().addHandler(logging.NullHandler())
    tiff = tifffile.TiffFile(file)
    if tiff_pages.is_raw(tiff):
        return raw.plan(file, first_frame=first_frame)
    page = tiff_pages.full_page(tiff, first_frame=first_frame)
    color, count = _check_colors(page)
    alpha = _alpha(page, count)
    profile = bytes(_value(tiff, page, _ICC) or b"") or None
    if color in profiles.CONVERTED_SPACES:
        profiles.check_convertible(profile, color)
    elif not profile and color != "white is zero":
        profile = tiff_tags.profile(page, grey=color == "grey")
    subsampled = page.photometric == _YCBCR and page.compression not in _JPEG
    if subsampled:
        tiff_subsampled.check(tiff, page)
    else:
        page.decode(None, 0)  # raises what tifffile's decoder does not support
    _check_complete(page, file.seek(0, os.SEEK_END))
    orientation = _value(tiff, page, exif_lib.ORIENTATION) or 1
    attributes, _ = metadata.upright(_metadata(file, tiff, page), orientation=orientation)

    def decode():
        if subsampled:
            stored = tiff_subsampled.decode(file, page)
        else:
            stored = _channels(page, color, count, alpha, profile)
        notes = list(_notes(tiff, page, color, count))
        attributes["exif"] = exif_lib.if_readable(notes, exif_in_tiff.read, file)
        attributes["notes"] = tuple(notes)
        return profiles.make_photo(exif_lib.turn(stored, orientation), profile, **attributes)

    bits = 16 if page.bitspersample > 8 else 8
    header = headers.upright(page.imagewidth, page.imagelength, orientation, bits)
    return headers.Plan(header, decode)


def _check_colors(page):
    """Returns (what the colours are, how many channels they take)."""
    if page.photometric not in _COLORS:
        raise ValueError(f"its colours are {_name(page.photometric)}; RGB and grey are supported")
    color, count = _COLORS[page.photometric]
    if color == "CMYK" and page.tags.valueof(_INK_SET, 1) != 1:
        raise ValueError("its inks are others than CMYK")
    if page.imagedepth != 1:
        raise ValueError(f"it holds a volume {page.imagedepth} images deep")
    supported = _BITS[color]
    if page.sampleformat not in (1, 4) or page.bitspersample not in supported:
        kind = {2: "int{}", 3: "float{}", 5: "complex int{}", 6: "complex{}"}
        found = kind.get(page.sampleformat, "{} bits").format(page.bitspersample)
        limit = "8 and 16 bit are" if 16 in supported else "8 bit is"
        raise ValueError(f"its samples are {found}; {limit} supported of {color} images")
    if page.samplesperpixel < count:
        raise ValueError(f"it has {page.samplesperpixel} channels; {color} has {count}")
    return color, count


def _alpha(page, count):
    """Returns (channel, whether the colours are multiplied by it), or None."""
    extra = page.samplesperpixel - count
    kinds = [int(kind) for kind in page.extrasamples][:extra]
    # Files without the tag come from programs that write RGBA and leave it out.
    kinds += [0] * (extra - len(kinds))
    found = [number for number, kind in enumerate(kinds) if kind in (_PREMULTIPLIED, _STRAIGHT)]
    if not found and extra > 1:
        raise ValueError(f"it has {extra} channels beside the colours, and none is its alpha")
    if extra == 0:
        return None
    number = found[0] if found else 0
    return count + number, kinds[number] == _PREMULTIPLIED


def _value(tiff, page, number):
    """A tag of the page; else of the first one, where cameras describe the photo."""
    own = page.tags.valueof(number)
    return tiff.pages[0].tags.valueof(number) if own is None else own


def _metadata(file, tiff, page):
    """The attributes of the page; XMP and IPTC perhaps of the first one."""
    own, first = (tiff_tags.attributes(file, each) for each in (page, tiff.pages[0]))
    return own | {name: own[name] or first[name] for name in ("xmp", "iptc")}


def _notes(tiff, page, color, count):
    """Sentences about what is converted and left out."""
    if color in profiles.CONVERTED_SPACES:
        yield profiles.CONVERSION_NOTE.format(color)
    if _LAYERS in page.tags:
        yield "Photoshop's layers are left out"
    if tiff_pages.has_mask(tiff):
        yield "a mask beside the image is left out"
    beside = page.samplesperpixel - count - 1
    if beside > 0:
        number = "channel is" if beside == 1 else "channels are"
        yield f"beside colours and alpha, {beside} {number} left out"


def _check_complete(page, file_size):
    """Checks that every strip or tile is there, within the file and not too short."""
    starts, counts = page.dataoffsets, page.databytecounts
    wanted = math.prod(page.chunked)
    if len(starts) < wanted or len(counts) < wanted or not all(starts) or not all(counts):
        raise ValueError("its data are truncated: strips or tiles are missing")
    if max(start + count for start, count in zip(starts, counts)) > file_size:
        raise ValueError("its data are truncated")
    if page.compression == _UNCOMPRESSED and page.photometric != _YCBCR:
        row = page.imagewidth * page.samplesperpixel * page.bitspersample
        if sum(counts) < page.imagelength * (row // 8):
            raise ValueError("its data are truncated: strips or tiles are too short")


def _channels(page, color, count, alpha, profile):
    """Decodes a page to grey or RGB, perhaps with alpha."""
    if page.compression in _JPEG:
        _check_jpeg(page)
    # tifffile's shape: separate planes, depth, rows, columns, interleaved channels.
    stored = page.asarray(maxworkers=1).reshape(page.shaped)[:, 0]
    stored = np.moveaxis(stored, 0, -1).reshape(*stored.shape[1:3], -1)
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    if color != "palette":
        stored = _full_range(stored, page.bitspersample)
    opacity = stored[..., alpha[0]] if alpha else None
    colors = stored[..., :count]
    if color == "palette":
        colors = _palette(page.colormap)[colors[..., 0].astype(np.uint8)]
    elif color == "white is zero":
        colors = np.iinfo(colors.dtype).max - colors
    if alpha and alpha[1]:
        colors = _divided(colors, opacity)
    if color in profiles.CONVERTED_SPACES:
        colors = colors ^ np.uint8([0, 128, 128]) if page.photometric == _SIGNED_LAB else colors
        colors = profiles.to_srgb(colors, profile)
    if opacity is None:
        return colors
    return np.concatenate([colors, opacity[..., None].astype(colors.dtype)], axis=-1)


def _full_range(stored, bits):
    """Scales samples of other depths than 8 and 16 to the next of these."""
    if bits in (8, 16):
        return stored
    white, maximum = 255 if bits < 8 else 65535, (1 << bits) - 1
    scaled = (stored.astype(np.uint32) * np.uint32(white) + maximum // 2) // maximum
    return scaled.astype(np.uint8 if bits < 8 else np.uint16)


def _check_jpeg(page):
    """Decodes JPEG strips or tiles once more: imagecodecs fills missing parts with grey."""
    tables = (page.jpegtables or b"")[:-2]
    for start, count in zip(page.dataoffsets, page.databytecounts):
        page.parent.filehandle.seek(start)
        content = page.parent.filehandle.read(count)
        if content.startswith(b"\xff\xd8"):  # old-style JPEG may have its head elsewhere
            jpeg.decode_strictly(tables + content[2:] if tables else content, "GRAY")


def _palette(colormap):
    """uint8 `[count, 3]`, of greys alone `[count, 1]`; some programs write 8-bit values into it."""
    table = np.asarray(colormap).T
    table = (table >> 8 if table.max() > 255 else table).astype(np.uint8)
    return table[:, :1] if (table == table[:, :1]).all() else table


def _divided(colors, opacity):
    """Colours that were multiplied by the opacity, divided by it; black where it is 0."""
    white = np.iinfo(colors.dtype).max
    weight = np.maximum(opacity, 1)[..., None]
    straight = (colors.astype(np.uint64) * white + weight // 2) // weight
    return np.where(opacity[..., None] > 0, np.minimum(straight, white), 0).astype(colors.dtype)


def _name(photometric):
    return getattr(photometric, "name", f"of an unknown kind ({photometric})")

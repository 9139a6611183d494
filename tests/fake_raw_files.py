"""Minimal files of the kinds that FiveK consists of: a raw photo (DNG), a ProPhoto profile."""

import struct

import numpy as np

# IEC 61966-2-1: linear sRGB to XYZ under D65.
_XYZ_FROM_SRGB = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = 60_000


def write_dng(path, scene, *, neutral=(1.0, 1.0, 1.0), crop=None, orientation=1):
    """Writes what a sensor behind a red-green-green-blue filter would see of a scene.

    Args:
      path: the file.
      scene: linear sRGB `[h, w, 3]`; the camera's own colours are these times `neutral`.
      neutral: what the camera sees of white, as it notes for the white balance.
      crop: (left, top, width, height) of the default crop in the file.
      orientation: EXIF code.
    """
    import tifffile

    seen = scene * np.asarray(neutral)
    mosaic = seen[..., 1].copy()
    mosaic[0::2, 0::2] = seen[0::2, 0::2, 0]
    mosaic[1::2, 1::2] = seen[1::2, 1::2, 2]
    tags = [
        (274, "H", 1, orientation, True),
        (271, "s", 0, "Stand", True),
        (272, "s", 0, "In", True),
        (33421, "H", 2, (2, 2), True),  # the pattern of the filter
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),  # DNG 1.4
        (50708, "s", 0, "Stand In", True),
        (50714, "H", 1, 0, True),  # black
        (50717, "I", 1, WHITE, True),
        (50721, "2i", 9, _rationals(np.linalg.inv(_XYZ_FROM_SRGB).ravel()), True),
        (50728, "2I", 3, _rationals(neutral), True),
        (50778, "H", 1, 21, True),  # that matrix is for D65
    ]
    if crop:
        tags += [(50719, "2I", 2, _rationals(crop[:2]), True)]
        tags += [(50720, "2I", 2, _rationals(crop[2:]), True)]
    pixels = np.rint(mosaic * WHITE).astype(np.uint16)
    tifffile.imwrite(path, pixels, photometric="cfa", extratags=tags, metadata=None, software=False)


def prophoto_profile(name="ProPhoto RGB", *, gamma=1.8):
    """Builds an ICC profile of ProPhoto's primaries and a power for the curve (version 2)."""
    text = name.encode() + b"\0"
    curve = struct.pack(">4sIIH", b"curv", 0, 1, round(gamma * 256))
    colours = {
        b"rXYZ": (0.79767, 0.28804, 0.0),
        b"gXYZ": (0.13519, 0.71187, 0.0),
        b"bXYZ": (0.03134, 0.00009, 0.82521),
        b"wtpt": (0.96420, 1.0, 0.82491),
    }
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
    }
    tags |= {tag: b"XYZ " + bytes(4) + _fixed(value) for tag, value in colours.items()}
    tags |= {tag: curve for tag in (b"rTRC", b"gTRC", b"bTRC")}
    offset, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for tag, content in tags.items():
        content += bytes(-len(content) % 4)
        table += struct.pack(">4sII", tag, offset + len(data), len(content))
        data += content
    head = struct.pack(">I4sI4s4s4s", 0, b"test", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += _fixed((0.96420, 1.0, 0.82491))
    body = struct.pack(">I", len(tags)) + table + data
    size = 128 + len(body)
    return struct.pack(">I", size) + head[4:].ljust(124, b"\0") + body


def _rationals(values):
    return tuple(part for value in values for part in (round(float(value) * 10_000), 10_000))


def _fixed(values):
    return struct.pack(">3i", *(round(value * 65_536) for value in values))

"""Small ICC profiles (version 2): RGB of a matrix and curves, grey of a curve, CMYK of a table."""

import itertools
import struct

import numpy as np

from bilateral_jax import color

# XYZ of red, green and blue under D50.
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
ROMM = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.00009), (0.03134, 0.00009, 0.82491))
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
ROMM_CURVE = (1.8, 1.0, 0.0, 1 / 16, 1 / 32)


def rgb(primaries, curve, *, name="made for a test"):
    """A profile of three primaries and one curve.

    Args:
      primaries: XYZ of red, green and blue under D50.
      curve: (gamma,), or (gamma, a, b, c, d): (a x + b) ** gamma from d on, c x below.
      name: its description.
    """
    tags = {b"rXYZ": primaries[0], b"gXYZ": primaries[1], b"bXYZ": primaries[2]}
    tags = {tag: _vector(value) for tag, value in tags.items()}
    return _profile(
        b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(curve)), name
    )


def grey(curve):
    """A profile of one curve."""
    return _profile(b"GRAY", b"XYZ ", {b"kTRC": _curve(curve)}, "grey made for a test")


def lab():
    """A profile of Lab itself."""
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def cmyk():
    """A profile of ideal inks: red is (1 - cyan) (1 - black), and so on."""
    corners = np.array(list(itertools.product((0.0, 1.0), repeat=4)))
    colors = (1 - corners[:, :3]) * (1 - corners[:, 3:])
    levels = color.srgb_to_lab(colors)
    levels = np.stack([levels[:, 0] * 652.8, *((levels[:, 1:] + 128) * 256).T], axis=1)
    table = np.rint(levels).astype(">u2").tobytes()
    identity = struct.pack(">HH", 0, 65535)
    head = b"mft2" + bytes(4) + bytes([4, 3, 2, 0]) + _fixed((1, 0, 0, 0, 1, 0, 0, 0, 1))
    content = head + struct.pack(">HH", 2, 2) + identity * 4 + table + identity * 3
    return _profile(b"CMYK", b"Lab ", {b"A2B0": content}, "inks made for a test", kind=b"prtr")


def _profile(space, connection, tags, name, kind=b"mntr"):
    text = name.encode() + b"\0"
    tags = tags | {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": _vector((0.9642, 1.0, 0.8249)),
    }
    offset, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for tag, content in tags.items():
        content += bytes(-len(content) % 4)
        table += struct.pack(">4sII", tag, offset + len(data), len(content))
        data += content
    head = struct.pack(">I4sI4s4s4s", 0, b"test", 0x02400000, kind, space, connection)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += _fixed((0.9642, 1.0, 0.8249))
    body = struct.pack(">I", len(tags)) + table + data
    return struct.pack(">I", 128 + len(body)) + head[4:] + bytes(128 - len(head)) + body


def _fixed(values):
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _vector(values):
    return b"XYZ " + bytes(4) + _fixed(values)


def _curve(values):
    kind = {1: 0, 5: 3}[len(values)]
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + _fixed(values)

"""ICC profiles computed from primaries, white point and a tone curve (ICC.1:2022, version 4.4)."""

from __future__ import annotations

import struct

import numpy as np

# Chromaticities (x, y) of red, green, blue and white.
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), (0.3127, 0.3290))
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def encode(chromaticities, curve, *, name: str, grey: bool = False) -> bytes:
    """Encodes a display profile.

    Args:
      chromaticities: (x, y) of red, green, blue and white.
      curve: `(g,)` for linear = v^g, or `(g, a, b, c, d)` for (a v + b)^g from v = d on and c v
        below (a parametric curve of ICC, functions 0 and 3); or a table, uint16 `[n]` for all
        channels or `[3, n]`, linear light 0 to 65535 of equidistant values.
      name: of the profile.
      grey: a profile of one grey channel instead of RGB; the primaries are not used.

    Returns:
      The profile's bytes.

    Raises:
      ValueError: the chromaticities span no colour space.
    """
    adaptation = _bradford(_xyz(chromaticities[3]))
    tags = {
        b"desc": _text(name),
        b"cprt": _text("No copyright"),
        b"wtpt": _vector(_D50),
        b"chad": b"sf32" + bytes(4) + _fixed(adaptation.ravel()),
    }
    table = isinstance(curve, np.ndarray)
    curves = list(curve) if table and curve.ndim == 2 else [curve] * 3
    if grey:
        tags[b"kTRC"] = _curve(curves[0])
    else:
        columns = (adaptation @ _primaries(chromaticities)).T
        for letter, column, tone in zip((b"r", b"g", b"b"), columns, curves, strict=True):
            tags[letter + b"XYZ"] = _vector(column)
            tags[letter + b"TRC"] = _curve(tone)
    return _assemble(tags, b"GRAY" if grey else b"RGB ")


def _assemble(tags, space):
    offset, table, blocks, offsets = 132 + 12 * len(tags), b"", b"", {}
    for tag, content in tags.items():
        if content not in offsets:
            offsets[content] = offset + len(blocks)
            blocks += content + bytes(-len(content) % 4)
        table += tag + struct.pack(">II", offsets[content], len(content))
    header = struct.pack(
        ">I4xI4s4s4s6H4s24xI3i48x",
        offset + len(blocks),
        0x04400000,
        b"mntr",
        space,
        b"XYZ ",
        *(2000, 1, 1, 0, 0, 0),  # the date is fixed: equal arguments give equal profiles
        b"acsp",
        0,
        *np.round(_D50 * 65536).astype(int).tolist(),
    )
    return header + struct.pack(">I", len(tags)) + table + blocks


def _xyz(xy):
    x, y = xy
    if not (0 < y <= 1 and 0 <= x <= 1):
        raise ValueError(f"chromaticity ({x}, {y}) is no colour")
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _primaries(chromaticities):
    """Matrix from linear RGB to XYZ relative to the white point."""
    try:
        columns = np.stack([_xyz(xy) for xy in chromaticities[:3]], axis=1)
        return columns * np.linalg.solve(columns, _xyz(chromaticities[3]))
    except np.linalg.LinAlgError:
        raise ValueError("its primaries span no colour space") from None


def _bradford(white):
    """Chromatic adaptation from a white point to D50."""
    scale = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    return np.linalg.inv(_BRADFORD) @ np.diag(scale) @ _BRADFORD


def _fixed(values):
    return struct.pack(
        f">{len(values)}i", *np.round(np.asarray(values) * 65536).astype(int).tolist()
    )


def _vector(xyz):
    return b"XYZ " + bytes(4) + _fixed(xyz)


def _curve(curve):
    if isinstance(curve, np.ndarray):
        return b"curv" + struct.pack(">4xI", len(curve)) + curve.astype(">u2").tobytes()
    return b"para" + struct.pack(">4xHH", {1: 0, 5: 3}[len(curve)], 0) + _fixed(curve)


def _text(text):
    encoded = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">4xII2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded

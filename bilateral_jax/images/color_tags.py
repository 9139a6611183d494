"""Colour spaces that files name without an ICC profile: code points, tags of PNG, TIFF and EXIF.

What they say is turned into an ICC profile, the one form in which a photo carries its colour space;
None stands for sRGB. Which of several applies follows the PNG specification (third edition, 4.3):
cICP, then iCCP, then sRGB, then gAMA with cHRM.
"""

from __future__ import annotations

import struct

import numpy as np

from bilateral_jax.images import exif as exif_lib
from bilateral_jax.images import matrix_profiles

_D65 = matrix_profiles.SRGB[3]
# ITU-T H.273, table 2: code -> (name, chromaticities of red, green, blue, white).
_PRIMARIES = {
    1: ("BT.709", matrix_profiles.SRGB),
    4: ("BT.470 M", ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316))),
    5: ("BT.601 625", ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65)),
    6: ("BT.601 525", ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65)),
    7: ("SMPTE 240M", ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65)),
    9: ("BT.2020", ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65)),
    11: ("DCI-P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351))),
    12: ("Display P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65)),
}
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
# H.273, table 3: code -> (name, curve as `matrix_profiles.encode` takes it).
_TRANSFERS = {
    1: ("BT.709", _BT709_CURVE),
    4: ("gamma 2.2", (2.2,)),
    5: ("gamma 2.8", (2.8,)),
    6: ("BT.601", _BT709_CURVE),
    8: ("linear", (1.0,)),
    13: ("sRGB", _SRGB_CURVE),
    14: ("BT.2020", _BT709_CURVE),
    15: ("BT.2020", _BT709_CURVE),
}
_HDR = {16: "PQ", 18: "HLG"}
_UNSPECIFIED = 2
_ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), _D65)
# Tags of EXIF: the directory of interoperability, and the index there (DCF 2.0, 3.2).
_INTEROPERABILITY, _INDEX = 40965, 1
# What encoders write beside sRGB pixels, as the PNG specification tells them (11.3.2.5).
_SRGB_GAMMA = 45455


def from_code_points(primaries: int, transfer: int, *, grey: bool = False) -> bytes | None:
    """Makes the profile of a pair of code points.

    Args:
      primaries: code of the primaries (ITU-T H.273); 2, unspecified, stands for those of sRGB.
      transfer: code of the transfer characteristics; 2 for the curve of sRGB.
      grey: the image has one colour channel.

    Returns:
      An ICC profile; None for sRGB.

    Raises:
      ValueError: high dynamic range, or a code that is not known.
    """
    primaries = 1 if primaries == _UNSPECIFIED else primaries
    transfer = 13 if transfer == _UNSPECIFIED else transfer
    if transfer in _HDR:
        raise ValueError(
            f"its colours are of high dynamic range ({_HDR[transfer]}), which is not supported"
        )
    if primaries not in _PRIMARIES or transfer not in _TRANSFERS:
        raise ValueError(
            f"its colours have primaries {primaries} and transfer characteristics {transfer} "
            "(ITU-T H.273), which are not supported"
        )
    if transfer == 13 and (primaries == 1 or grey):
        return None
    (space, chromaticities), (tone, curve) = _PRIMARIES[primaries], _TRANSFERS[transfer]
    name = space if space == tone else f"{space}, {tone}"
    return matrix_profiles.encode(chromaticities, curve, name=name, grey=grey)


def from_png(chunks, *, grey: bool) -> bytes | None:
    """Finds the colour space of a PNG file.

    Args:
      chunks: chunks by name, as `png_chunks.read` returns them.
      grey: the image has one colour channel.

    Returns:
      An ICC profile, None for sRGB. An embedded profile is returned as it is.

    Raises:
      ValueError: cICP of high dynamic range, with a code that is not known, of YCbCr or of a narrow
        range; a broken chunk.
    """
    try:
        return _from_chunks(chunks, grey)
    except struct.error:
        raise ValueError("a chunk about its colours (cICP, gAMA or cHRM) is broken") from None


def _from_chunks(chunks, grey):
    if "cICP" in chunks:
        primaries, transfer, matrix, full_range = struct.unpack(">4B", chunks["cICP"])
        if matrix != 0 or full_range != 1:
            raise ValueError("its cICP names colours of a video (narrow range or YCbCr)")
        return from_code_points(primaries, transfer, grey=grey)
    if chunks.get("iCCP"):
        return chunks["iCCP"]
    if "sRGB" in chunks:
        return None
    return _from_gamma(chunks, grey)


def _from_gamma(chunks, grey):
    gamma = struct.unpack(">I", chunks["gAMA"])[0] if "gAMA" in chunks else _SRGB_GAMMA
    chromaticities = matrix_profiles.SRGB
    if "cHRM" in chunks and not grey:
        values = [value / 100000 for value in struct.unpack(">8I", chunks["cHRM"])]
        white, red, green, blue = zip(values[::2], values[1::2], strict=True)
        chromaticities = (red, green, blue, white)
    if gamma == 0:
        raise ValueError("its gamma (gAMA) is 0")
    srgb_curve = abs(gamma - _SRGB_GAMMA) < 50
    if srgb_curve and _close(chromaticities, matrix_profiles.SRGB):
        return None
    curve = _SRGB_CURVE if srgb_curve and "gAMA" not in chunks else (100000 / gamma,)
    return matrix_profiles.encode(chromaticities, curve, name="gAMA and cHRM of PNG", grey=grey)


def from_tiff(primaries, white, transfer, *, grey: bool) -> bytes | None:
    """Finds the colour space that the tags of a TIFF file describe (TIFF 6.0, section 20).

    Args:
      primaries: x and y of red, green and blue, six numbers, or None.
      white: x and y of the white point, or None for D65.
      transfer: linear light 0 to 65535 by stored value, of all channels or one channel after the
        other; None for gamma 2.2.
      grey: the image has one colour channel.

    Returns:
      An ICC profile, None for sRGB or where nothing is said.

    Raises:
      ValueError: the tags are broken.
    """
    if transfer is None and (primaries is None or grey):
        return None
    chromaticities = matrix_profiles.SRGB[:3]
    if primaries is not None and not grey:
        chromaticities = tuple(zip(primaries[::2], primaries[1::2], strict=True))
    chromaticities = (*chromaticities, _D65 if white is None else tuple(white))
    if transfer is None and _close(chromaticities, matrix_profiles.SRGB):
        return None
    curve = (2.2,)
    if transfer is not None:
        curve = np.asarray(transfer, np.uint16).ravel()
        if len(curve) not in (256, 3 * 256, 65536, 3 * 65536) or len(chromaticities) != 4:
            raise ValueError("its transfer function or primaries are broken")
        curve = curve if len(curve) in (256, 65536) else curve.reshape(3, -1)
    return matrix_profiles.encode(chromaticities, curve, name="tags of TIFF", grey=grey)


def from_exif(block: bytes | None) -> bytes | None:
    """Finds the colour space that a camera names in EXIF: Adobe RGB where it is not sRGB.

    Args:
      block: an EXIF block, or None.

    Returns:
      The profile of Adobe RGB (1998) for DCF's optional colour space (index R03); else None.
    """
    index = exif_lib.find(block, (exif_lib.EXIF_DIRECTORY, _INTEROPERABILITY), _INDEX)
    if index is None or not index.startswith(b"R03"):
        return None
    return matrix_profiles.encode(_ADOBE_RGB, (563 / 256,), name="Adobe RGB (1998), of EXIF")


def _close(first, second):
    return all(abs(a - b) < 0.001 for x, y in zip(first, second, strict=True) for a, b in zip(x, y))

"""ICC colour profiles: what they describe, and conversion to sRGB by LittleCMS.

8-bit pixels go through LittleCMS within Pillow, 16-bit ones through that within imagecodecs. A
profile is judged by what it does to colours, never by its name.
"""

from __future__ import annotations

import functools
import io

import numpy as np

from bilateral_jax import pixels as pixel_bits
from bilateral_jax.images import photo as photo_lib

# Colour space of a profile -> Pillow's mode, the name within imagecodecs, channels.
_SPACES = {
    "RGB": ("RGB", "rgb", 3),
    "GRAY": ("L", "minisblack", 1),
    "CMYK": ("CMYK", "cmyk", 4),
    "Lab": ("LAB", "lab", 3),
}
# Colour spaces whose pixels are converted to sRGB when a file is read, and what its notes say then.
CONVERTED_SPACES = ("CMYK", "Lab")
CONVERSION_NOTE = "its {} colours were converted to sRGB by its colour profile"
_LAB_SIGNS = np.array([0, 128, 128], np.uint8)  # Pillow's arrays hold a and b as signed bytes
_NO_OPTIMIZE = 0x100  # LittleCMS would interpolate 16 bits in a coarse table, 20 levels of 255 off
# ISO 22028-2; white is D50.
_XYZ_FROM_ROMM = np.array(
    [[0.79767, 0.13519, 0.03134], [0.28804, 0.71188, 0.00009], [0.0, 0.0, 0.82491]]
)


def color_space(icc_profile: bytes) -> str:
    """Returns the colour space of the pixels that a profile describes: "RGB", "GRAY", "CMYK", ...

    Args:
      icc_profile: bytes of the profile.
    """
    return bytes(icc_profile[16:20]).decode("latin-1").strip()


def check_convertible(icc_profile: bytes | None, space: str) -> None:
    """Refuses pixels that are not RGB unless a profile converts them.

    Args:
      icc_profile: bytes of the file's profile, or None.
      space: of the pixels: "CMYK" or "Lab".

    Raises:
      ValueError: there is no profile, or it is broken or of another colour space.
      ImportError: Pillow is not installed.
    """
    if not icc_profile:
        raise ValueError(f"its colours are {space} and it has no colour profile to convert them by")
    if color_space(icc_profile) != space:
        found = color_space(icc_profile)
        raise ValueError(f"its colours are {space} and its colour profile is of {found}")
    to_srgb(np.zeros((1, 1, _SPACES[space][2]), np.uint8), icc_profile)


def make_photo(stored, icc_profile: bytes | None, **attributes) -> photo_lib.Photo:
    """Makes a photo of decoded channels; a profile of another colour space is left out, and noted.

    Args:
      stored: as for `photo.from_channels`.
      icc_profile: bytes of the file's profile, or None.
      **attributes: the other attributes of `Photo`.

    Returns:
      The photo.
    """
    spaces = ("GRAY", "RGB") if stored.ndim == 2 or stored.shape[-1] < 3 else ("RGB",)
    if icc_profile and color_space(icc_profile) not in spaces:
        if color_space(icc_profile) not in CONVERTED_SPACES:  # else it has been used
            note = f"its colour profile is of {color_space(icc_profile)} and is left out"
            attributes["notes"] = (*attributes.get("notes", ()), note)
        icc_profile = None
    return photo_lib.from_channels(stored, icc_profile=icc_profile or None, **attributes)


def to_srgb(pixels, icc_profile: bytes | None) -> np.ndarray:
    """Converts pixels to sRGB, with perceptual intent.

    Args:
      pixels: uint8 or uint16 `[h, w, c]` in the channels of the profile: RGB, grey, CMYK (0 is no
        ink) or Lab (a and b plus 128 in 8 bits). Of RGB pixels with a profile of grey, the first
        channel counts.
      icc_profile: bytes of the profile that the pixels are in; None for sRGB.

    Returns:
      `[h, w, 3]` of the same dtype; RGB pixels stay as they are to the last bit if the profile is
      sRGB within one level of 255.

    Raises:
      ValueError: the profile is broken or does not describe such pixels.
      ImportError: Pillow, or for 16 bits imagecodecs, is not installed.
    """
    if icc_profile is None:
        return pixels
    space = color_space(icc_profile)
    if space not in _SPACES:
        raise ValueError(f"its colour profile is of {space}, not of {', '.join(_SPACES)}")
    pixels = pixels[..., :1] if space == "GRAY" else pixels
    if pixels.shape[-1] != _SPACES[space][2]:
        raise ValueError(f"its colour profile is of {space}, its pixels are {pixels.shape}")
    if space == "RGB" and _is_srgb(bytes(icc_profile)):
        return pixels
    if space == "GRAY" and pixels.dtype == np.uint8:
        # LittleCMS' tables for 8-bit grey are up to 10 levels off in the shadows.
        levels = np.arange(256, dtype=np.uint16).reshape(1, -1, 1) * np.uint16(257)
        table = pixel_bits.to_bits(_convert_16(levels, bytes(icc_profile), space), 8)[0]
        return table[pixels[..., 0]]
    convert = _convert_8 if pixels.dtype == np.uint8 else _convert_16
    return convert(pixels, bytes(icc_profile), space)


def is_prophoto(icc_profile: bytes) -> bool:
    """Whether a profile is ProPhoto RGB (ROMM RGB): its primaries and its curve.

    Args:
      icc_profile: bytes of the profile. The straight part of the curve below 1/512 may be missing,
        as in Adobe's profile.

    Raises:
      ValueError: the profile is broken.
      ImportError: Pillow is not installed.
    """
    if color_space(icc_profile) != "RGB":
        return False
    actual = _to_lab(_probes(9), bytes(icc_profile)).astype(np.int16)
    return int(np.abs(actual - _romm_lab(_probes(9))).max()) <= 2


@functools.lru_cache(maxsize=8)
def _is_srgb(icc_profile):
    """Whether LittleCMS moves no colour by more than one level of 255."""
    probes = _probes(33)
    moved = _convert_8(probes, icc_profile, "RGB").astype(np.int16) - probes
    return int(np.abs(moved).max()) <= 1


def _probes(count):
    """uint8 `[count, count**2, 3]`: the colours of a regular lattice, black and white included."""
    levels = np.rint(np.linspace(0, 255, count)).astype(np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(count, -1, 3)


def _convert_8(pixels, icc_profile, space):
    import PIL.ImageCms

    return _with_pillow(pixels, icc_profile, _SPACES[space][0], PIL.ImageCms.createProfile("sRGB"))


def _convert_16(pixels, icc_profile, space):
    import imagecodecs

    if space == "GRAY":
        pixels = pixels[..., 0]
    try:
        return imagecodecs.cms_transform(
            np.ascontiguousarray(pixels),
            icc_profile,
            imagecodecs.cms_profile("srgb"),
            colorspace=_SPACES[space][1],
            outcolorspace="rgb",
            intent=0,
            flags=_NO_OPTIMIZE,
        )
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"its colour profile is broken ({error})") from error


def _with_pillow(pixels, icc_profile, mode, target, target_mode="RGB"):
    import PIL.Image
    import PIL.ImageCms

    height, width = pixels.shape[:2]
    pixels = pixels ^ _LAB_SIGNS if mode == "LAB" else pixels
    image = PIL.Image.frombuffer(mode, (width, height), np.ascontiguousarray(pixels).tobytes())
    try:
        source = PIL.ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
        converted = PIL.ImageCms.profileToProfile(image, source, target, outputMode=target_mode)
    except (OSError, PIL.ImageCms.PyCMSError) as error:
        raise ValueError(f"its colour profile is broken ({error})") from error
    converted = np.asarray(converted)
    return converted ^ _LAB_SIGNS if target_mode == "LAB" else converted


def _to_lab(pixels, icc_profile):
    """uint8 L*a*b* under D50: 255 is L* 100, a* and b* have 128 added and are clipped."""
    import PIL.ImageCms

    lab = PIL.ImageCms.createProfile("LAB")
    return _with_pillow(pixels, icc_profile, "RGB", lab, "LAB")


def _romm_lab(pixels):
    """The L*a*b* of ROMM RGB as `_to_lab` encodes it (ISO 22028-2; CIE 15:2018)."""
    linear = (pixels / 255.0) ** 1.8
    xyz_over_white = linear @ (_XYZ_FROM_ROMM / _XYZ_FROM_ROMM.sum(axis=1, keepdims=True)).T
    root = np.where(
        xyz_over_white > (6 / 29) ** 3,
        np.cbrt(xyz_over_white),
        xyz_over_white * ((29 / 6) ** 2 / 3) + 4 / 29,
    )
    x, y, z = np.moveaxis(root, -1, 0)
    lab = np.stack([(116 * y - 16) * 2.55, 500 * (x - y) + 128, 200 * (y - z) + 128], axis=-1)
    return np.rint(np.clip(lab, 0, 255)).astype(np.int16)

"""ICC colour profiles: conversion to sRGB."""

from __future__ import annotations

import io

import numpy as np


def color_space(icc_profile: bytes) -> str:
    """Returns the colour space of the pixels that a profile describes: "RGB", "GRAY", "CMYK", ...

    Args:
      icc_profile: bytes of the profile.
    """
    return bytes(icc_profile[16:20]).decode("latin-1").strip()


def to_srgb(pixels, icc_profile) -> np.ndarray:
    """Converts pixels to sRGB.

    Args:
      pixels: uint8 `[h, w, 3]`.
      icc_profile: bytes of the profile that the pixels are in; None for sRGB.

    Returns:
      uint8 `[h, w, 3]`; the pixels themselves if they are sRGB.

    Raises:
      ValueError: the profile is broken.
      ImportError: Pillow is not installed.
    """
    if icc_profile is None:
        return pixels
    import PIL.Image
    import PIL.ImageCms

    try:
        profile = PIL.ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
        if "srgb" in PIL.ImageCms.getProfileDescription(profile).lower():
            return pixels
        converted = PIL.ImageCms.profileToProfile(
            PIL.Image.fromarray(pixels), profile, PIL.ImageCms.createProfile("sRGB")
        )
    except (OSError, PIL.ImageCms.PyCMSError) as error:
        raise ValueError(f"its colour profile is broken ({error})") from error
    return np.asarray(converted)

"""HEIF (HEIC), by libheif within pillow-heif, an optional package."""

from __future__ import annotations

import numpy as np

from bilateral_jax import pixels as pixels_lib
from bilateral_jax.images import formats, headers, metadata, profiles
from bilateral_jax.images.decoders import heif_boxes


def plan(file, *, first_frame: bool) -> headers.Plan:
    """Prepares the decoding of a HEIF file: of its primary image.

    Args:
      file: open for reading bytes; it must stay open until the pixels are decoded.
      first_frame: accept several frames or pages, and take the first.

    Returns:
      The plan.

    Raises:
      ValueError: as `plans.plan`.
      ImportError: a package that the format needs is not installed.
    """
    del first_frame  # the primary image is the photo
    with formats.explain_missing_packages(what="HEIC photos", extra="heif"):
        import pillow_heif
    found = heif_boxes.properties(file)
    file.seek(0)
    image = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
    profile = image.info.get("icc_profile") or heif_boxes.profile(found)
    attributes = metadata.of_pillow(image)
    # libheif turns the pixels as the file asks for; EXIF and XMP repeat that for other formats.
    attributes, _ = metadata.upright(attributes, orientation=1)
    attributes["xmp"] = metadata.upright_xmp(attributes["xmp"])
    attributes["notes"] = _left_out(image)
    bits = image.info.get("bit_depth", 8)

    def decode():
        stored = np.asarray(image)
        if bits > 8:  # the samples stand in the upper bits
            stored = pixels_lib.widen(stored >> (16 - bits), bits)
        return profiles.make_photo(stored, profile, **attributes)

    width, height = image.size
    return headers.Plan(headers.Header(height, width, 8 if bits == 8 else 16), decode)


def _left_out(image):
    notes = []
    others = len(image) - 1
    if others:
        number = "image is" if others == 1 else "images are"
        notes.append(f"beside the primary image, {others} {number} left out")
    if image.info.get("aux") or image.info.get("depth_images"):
        notes.append("maps beside the image (of depth, or an HDR gain) are left out")
    return tuple(notes)

"""PNG, by libpng within imagecodecs, which refuses damaged and missing rows."""

from __future__ import annotations

import struct

from bilateral_jax.images import color_tags, headers, metadata, png_chunks, profiles
from bilateral_jax.images import exif as exif_lib
from bilateral_jax.images import photo as photo_lib

_GREY, _PALETTE = (0, 4), 3  # kinds of colour: grey, grey with alpha; palette


def plan(file, *, first_frame: bool) -> headers.Plan:
    """Prepares the decoding of a PNG file.

    Args:
      file: open for reading bytes; it must stay open until the pixels are decoded.
      first_frame: accept several frames or pages, and take the first.

    Returns:
      The plan.

    Raises:
      ValueError: as `plans.plan`.
      ImportError: a package that the format needs is not installed.
    """
    chunks = png_chunks.read(file)
    width, height, bits, kind = struct.unpack_from(">IIBB", chunks["IHDR"])
    frames = struct.unpack_from(">I", chunks.get("acTL", b"\0\0\0\1"))[0]
    headers.check_frames(frames, first_frame=first_frame)
    grey_palette = kind == _PALETTE and photo_lib.is_grey_palette(chunks.get("PLTE", b""))
    profile = color_tags.from_png(chunks, grey=kind in _GREY)
    attributes, orientation = metadata.upright(png_chunks.attributes(chunks))

    def decode():
        import imagecodecs

        try:
            stored = imagecodecs.png_decode(png_chunks.without_metadata(file))
        except imagecodecs.PngError as error:
            raise ValueError(f"its data are damaged or truncated ({error})") from error
        if grey_palette:
            stored = stored[..., [0, 3] if stored.shape[-1] == 4 else 0]
        return profiles.make_photo(exif_lib.turn(stored, orientation), profile, **attributes)

    return headers.Plan(
        headers.upright(width, height, orientation, 16 if bits == 16 else 8), decode
    )

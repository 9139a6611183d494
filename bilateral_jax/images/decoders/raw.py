"""Raw files of cameras (DNG and others), developed by LibRaw within rawpy to 16-bit sRGB.

White balance as the camera took it, no automatic brightness, the file's default crop.
"""

from __future__ import annotations

import numpy as np

from bilateral_jax.images import exif as exif_lib
from bilateral_jax.images import exif_in_tiff, formats, headers
from bilateral_jax.images import photo as photo_lib

_TIFF_SIGNATURES = (b"II*\x00", b"MM\x00*")


def plan(file, *, first_frame: bool) -> headers.Plan:
    """Prepares the development of a raw file.

    Args:
      file: open for reading bytes; it must stay open until the pixels are decoded.
      first_frame: accept several frames or pages, and take the first.

    Returns:
      The plan.

    Raises:
      ValueError: as `plans.plan`.
      ImportError: a package that the format needs is not installed.
    """
    del first_frame  # the raw image, whatever previews lie beside it
    file.seek(0)
    is_tiff = file.read(4) in _TIFF_SIGNATURES
    file.seek(0)
    opened = open_raw(file)

    def decode():
        pixels = develop(opened)
        exif, notes = None, []
        if is_tiff:
            exif = exif_lib.if_readable(notes, exif_in_tiff.read, file)
        return photo_lib.Photo(pixels, exif=exif, notes=tuple(notes))

    return headers.Plan(headers.Header(*_developed_size(opened.sizes), 16), decode)


def open_raw(source):
    """Opens a raw file.

    Args:
      source: path, or a file open for reading bytes.

    Returns:
      The `rawpy.RawPy` object, a context manager.

    Raises:
      ValueError: LibRaw cannot read the file.
      ImportError: rawpy is not installed.
    """
    rawpy = _rawpy()
    try:
        return rawpy.imread(source)
    except rawpy.LibRawError as error:
        raise ValueError(f"LibRaw cannot read this raw file: {_reason(error)}") from error


def develop(opened) -> np.ndarray:
    """Develops an opened raw file.

    Args:
      opened: as `open_raw` returns it.

    Returns:
      uint16 `[h, w, 3]` sRGB, upright.

    Raises:
      ValueError: LibRaw cannot develop it.
    """
    rawpy = _rawpy()
    try:
        pixels = opened.postprocess(
            use_camera_wb=True,
            no_auto_bright=True,
            output_bps=16,
            output_color=rawpy.ColorSpace.sRGB,
            gamma=(2.4, 12.92),
        )
    except rawpy.LibRawError as error:
        raise ValueError(f"LibRaw cannot develop this raw file: {_reason(error)}") from error
    return _default_crop(pixels, opened.sizes)


def _rawpy():
    with formats.explain_missing_packages(what="raw photos", extra="raw"):
        import rawpy
    return rawpy


def _reason(error):
    said = error.args[0] if error.args else type(error).__name__
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


# LibRaw's flips: 3 is 180 degrees, 5 is 90 to the left, 6 is 90 to the right; the quarter turns
# that undo them.
_TURNS = {0: 0, 3: 2, 5: 1, 6: -1}


def _crop_box(sizes, full):
    """(Top, left, height, width) of the default crop in the unturned sensor's area, or None."""
    height, width = sizes.crop_height, sizes.crop_width
    top = sizes.crop_top_margin - sizes.top_margin
    left = sizes.crop_left_margin - sizes.left_margin
    if not height or not width or min(top, left) < 0 or sizes.flip not in _TURNS:
        return None
    if top + height > full[0] or left + width > full[1]:
        return None
    return top, left, height, width


def _developed_size(sizes):
    full = (sizes.height, sizes.width)
    box = _crop_box(sizes, full)
    height, width = full if box is None else box[2:]
    return (width, height) if sizes.flip in (5, 6) else (height, width)


def _default_crop(pixels, sizes):
    """Crops the sensor's area to the file's default crop; flips as LibRaw did."""
    full = pixels.shape[:2][::-1] if sizes.flip in (5, 6) else pixels.shape[:2]
    box = _crop_box(sizes, full)
    if box is None:
        return pixels
    top, left, height, width = box
    turns = _TURNS[sizes.flip]
    unturned = np.rot90(pixels, -turns)[top : top + height, left : left + width]
    return np.ascontiguousarray(np.rot90(unturned, turns))

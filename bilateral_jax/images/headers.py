"""What the header of an image file says, and how its pixels are then decoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from bilateral_jax.images import photo as photo_lib


@dataclasses.dataclass(frozen=True)
class Header:
    """Size and bit depth of an image.

    Attributes:
      height: in pixels, upright.
      width: in pixels, upright.
      bits: 8 or 16 per channel of the decoded pixels.
    """

    height: int
    width: int
    bits: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """The decision how an image file is decoded, taken from its header.

    Whatever the decoder does not support is refused when the plan is made; only damage to the data
    is found later.

    Attributes:
      header: of the image.
      decode: decodes the pixels, from the file that must still be open.
      complete: whether the file is known to have no part missing at its end; if not, it must be
        decoded to be sure.
    """

    header: Header
    decode: Callable[[], photo_lib.Photo]
    complete: bool = True


def upright(width: int, height: int, orientation: int, bits: int) -> Header:
    """Makes the header of a stored image with an EXIF orientation.

    Args:
      width: stored, in pixels.
      height: stored, in pixels.
      orientation: EXIF code; 5 to 8 exchange width and height.
      bits: 8 or 16.

    Returns:
      The header.
    """
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    return Header(height, width, bits)


def check_frames(count: int, *, first_frame: bool, of: str = "frames") -> None:
    """Refuses a file with several images unless the first of them is asked for.

    Args:
      count: how many images the file holds.
      first_frame: whether the first is asked for.
      of: what the format calls them: "frames" or "pages".

    Raises:
      ValueError: there are several; the message says which option takes the first.
    """
    if count > 1 and not first_frame:
        raise ValueError(f"it holds {count} {of}; first_frame=True (--first-frame) takes the first")

"""Image files to integer pixels and back, 8 and 16 bits per channel, with their metadata.

Receives paths.
Hands pixels with their metadata to data, alignment and the commands, and writes them to files.
"""

from bilateral_jax.images.files import RAW_SUFFIXES as RAW_SUFFIXES
from bilateral_jax.images.files import READABLE_SUFFIXES as READABLE_SUFFIXES
from bilateral_jax.images.files import SUFFIXES as SUFFIXES
from bilateral_jax.images.files import check_writable as check_writable
from bilateral_jax.images.files import decode as decode
from bilateral_jax.images.files import encode_png as encode_png
from bilateral_jax.images.files import inspect as inspect
from bilateral_jax.images.files import read as read
from bilateral_jax.images.files import write as write
from bilateral_jax.images.files import write_photo as write_photo
from bilateral_jax.images.formats import MAX_PIXELS as MAX_PIXELS
from bilateral_jax.images.metadata import fit_metadata as fit_metadata
from bilateral_jax.images.photo import Photo as Photo
from bilateral_jax.images.photo import has_colors as has_colors
from bilateral_jax.images.photo import without_colors as without_colors
from bilateral_jax.pixels import as_float as as_float
from bilateral_jax.pixels import bit_depth as bit_depth
from bilateral_jax.pixels import to_bits as to_bits
from bilateral_jax.pixels import to_float as to_float
from bilateral_jax.pixels import to_integer as to_integer

__all__ = [
    "MAX_PIXELS",
    "Photo",
    "RAW_SUFFIXES",
    "READABLE_SUFFIXES",
    "SUFFIXES",
    "as_float",
    "bit_depth",
    "check_writable",
    "decode",
    "encode_png",
    "fit_metadata",
    "has_colors",
    "inspect",
    "read",
    "to_bits",
    "to_float",
    "to_integer",
    "without_colors",
    "write",
    "write_photo",
]


def __dir__() -> list[str]:
    return __all__

"""Integer pixels of image files and floats in [0, 1], for NumPy and JAX arrays alike.

Each depth is scaled by its own maximum: 255 or 65535 is 1. NumPy arrays give NumPy arrays, JAX
arrays JAX arrays.
"""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

Array = TypeVar("Array", np.ndarray, jax.Array)


def white(dtype) -> int:
    """Returns the value of white in an image: 255, 65535, or 1 for floats.

    Args:
      dtype: of the image.

    Raises:
      TypeError: neither uint8, uint16 nor floating.
    """
    if jnp.issubdtype(dtype, jnp.floating):
        return 1
    if dtype not in (np.uint8, np.uint16):
        raise TypeError(f"pixels must be uint8, uint16 or floating point, got {dtype}")
    return np.iinfo(dtype).max


def bit_depth(pixels) -> int:
    """Returns the bits per channel of integer pixels: 8 or 16.

    Args:
      pixels: uint8 or uint16 array.
    """
    return 8 * pixels.dtype.itemsize


def to_float(pixels: Array) -> Array:
    """Scales 8- or 16-bit pixels to float32 in [0, 1].

    Args:
      pixels: uint8 or uint16 array of any shape.

    Returns:
      float32, same shape.

    Raises:
      TypeError: any other dtype.
    """
    pixels = pixels if isinstance(pixels, jax.Array) else np.asarray(pixels)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"pixels must be uint8 or uint16, got {pixels.dtype}")
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def as_float(pixels: Array) -> Array:
    """Returns an image as float32: integers scaled as in `to_float`, floats unscaled.

    Args:
      pixels: uint8, uint16 or floating-point array of any shape.

    Returns:
      float32, same shape.

    Raises:
      TypeError: any other dtype.
    """
    pixels = pixels if isinstance(pixels, jax.Array) else np.asarray(pixels)
    if jnp.issubdtype(pixels.dtype, jnp.floating):
        return pixels.astype(np.float32, copy=False)
    return to_float(pixels)


def to_integer(values, bits: int) -> np.ndarray:
    """Rounds values in [0, 1] to 8- or 16-bit pixels; values outside are clipped.

    Args:
      values: float array of any shape.
      bits: 8 or 16.

    Returns:
      uint8 or uint16, same shape. `to_integer(to_float(p), bits)` is `p` exactly.

    Raises:
      TypeError: `values` is not floating point.
      ValueError: `bits` is neither 8 nor 16, or a value is NaN.
    """
    if bits not in (8, 16):
        raise ValueError(f"bits must be 8 or 16, got {bits}")
    values = np.asarray(values)
    if values.dtype.name in ("float16", "bfloat16"):
        values = values.astype(np.float32)
    if not np.issubdtype(values.dtype, np.floating):
        raise TypeError(f"values must be floating point with 1 as white, got {values.dtype}")
    if np.isnan(values).any():
        raise ValueError(
            f"values holds {int(np.isnan(values).sum())} NaN; there is no pixel for that"
        )
    return _rounded(np, values, np.uint8 if bits == 8 else np.uint16)


def to_dtype(values, dtype) -> Any:
    """Returns a float image in the dtype of an image: cast to floats, rounded to integers.

    For compiled functions: unlike `to_integer` it checks no values.

    Args:
      values: float array of any shape.
      dtype: floating, or uint8 or uint16, for which values outside [0, 1] are clipped.

    Returns:
      Array of `dtype`, same shape.
    """
    if jnp.issubdtype(dtype, jnp.floating):
        return values.astype(dtype)
    return _rounded(jnp, values, dtype)


def to_bits(pixels, bits: int) -> np.ndarray:
    """Converts between 8 and 16 bits: 255 and 65535 correspond, the nearest level is taken.

    Args:
      pixels: uint8 or uint16 array of any shape.
      bits: 8 or 16.

    Returns:
      uint8 or uint16, same shape.

    Raises:
      TypeError: `pixels` is neither uint8 nor uint16.
      ValueError: `bits` is neither 8 nor 16.
    """
    pixels = np.asarray(pixels)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"pixels must be uint8 or uint16, got {pixels.dtype}")
    if bits not in (8, 16):
        raise ValueError(f"bits must be 8 or 16, got {bits}")
    if bits == bit_depth(pixels):
        return pixels
    if bits == 16:
        return pixels.astype(np.uint16) * np.uint16(257)
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def widen(pixels, bits: int) -> np.ndarray:
    """Converts samples of 9 to 16 bits to 16: the largest values correspond, rounded.

    Args:
      pixels: uint16 array of any shape, values below `2**bits`.
      bits: of the samples.

    Returns:
      uint16, same shape.

    Raises:
      ValueError: `bits` is not in 9..16.
    """
    if not 9 <= bits <= 16:
        raise ValueError(f"bits must be in 9..16, got {bits}")
    largest = (1 << bits) - 1
    return ((pixels.astype(np.uint32) * 65535 + largest // 2) // largest).astype(np.uint16)


def _rounded(xp, values, dtype):
    maximum = xp.asarray(np.iinfo(dtype).max, values.dtype)
    return xp.round(xp.clip(values, 0.0, 1.0) * maximum).astype(dtype)

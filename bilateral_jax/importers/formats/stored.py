"""Arrays that are still in their file: their shapes are known, their numbers not yet read."""

import math
from collections.abc import Callable

import numpy as np

_RATIO = 1100  # deflate shrinks by at most 1032


class StoredArray:
    """An array in a file; `np.asarray` reads it.

    Shapes are compared with the file and with the network before anything is allocated.
    """

    def __init__(self, name: str, shape, dtype, *, size: int, load: Callable[[], np.ndarray]):
        """Checks the shape against the bytes that the file has for it.

        Args:
          name: for the message.
          shape: of the array.
          dtype: of the array.
          size: bytes in the file, possibly compressed.
          load: reads the numbers.

        Raises:
          ValueError: not an array of numbers, or more than the bytes can hold.
        """
        self.shape, self.dtype = tuple(map(int, shape)), np.dtype(dtype)
        self.ndim, self._load = len(self.shape), load
        if self.dtype.kind not in "fiub":
            raise ValueError(f"{name} holds {self.dtype}, not numbers")
        needed = math.prod(self.shape) * self.dtype.itemsize
        if min(self.shape, default=0) < 0 or needed > _RATIO * size:
            raise ValueError(
                f"{name} of shape {self.shape} needs {needed} bytes, and the file has {size} for it"
            )

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        """Reads the numbers."""
        del copy
        return np.asarray(self._load(), dtype)

    def transpose(self, axes) -> "StoredArray":
        """The array with its axes in another order, not yet read."""
        result = object.__new__(StoredArray)
        result.shape, result.dtype = tuple(self.shape[axis] for axis in axes), self.dtype
        result.ndim, result._load = self.ndim, lambda: self._load().transpose(axes)
        return result

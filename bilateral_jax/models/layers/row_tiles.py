"""Convolutional layers on row tiles of an image, exact at the tiles' borders.

Networks that normalise by the mean and variance of the whole image cannot be cut into independent
tiles: each tile would have its own statistics, and zeros at its border where the image goes on. A
`RowTile` knows which rows of the image it holds, so that each convolution sees true neighbours, and
zeros only beyond the image; the statistics are measured over all tiles first
(`inference/by_row_tiles.py`). The result is the whole image's, to rounding.
"""

from collections.abc import Callable
from typing import Any

import flax
import jax
import jax.numpy as jnp

from bilateral_jax.models.layers import convolutions


@flax.struct.dataclass
class RowTile:
    """Features of some rows of an image.

    Attributes:
      values: float `[b, rows, w, c]`.
      top: row of the image that the first row belongs to (negative above the image), int32 scalar;
        None for a whole image.
      height: rows of the image, int32 scalar; None for a whole image.
    """

    values: jax.Array
    top: Any = None
    height: Any = None

    def inside(self):
        """Marks rows that lie in the image: bool `[rows, 1, 1]`, or None for a whole image."""
        if self.top is None:
            return None
        rows = self.top + jnp.arange(self.values.shape[1])
        return ((rows >= 0) & (rows < self.height))[:, None, None]

    def map(self, function: Callable, *args) -> "RowTile":
        """Applies a function of the values (and `args`) that keeps the rows' positions."""
        return self.replace(values=function(self.values, *args))

    def plus(self, other: "RowTile") -> "RowTile":
        """Adds features of a tile that may reach further up and down: a skip connection."""
        spare = (other.values.shape[1] - self.values.shape[1]) // 2
        return self.map(lambda x: x + other.values[:, spare : spare + x.shape[1]])


def convolve(tile: RowTile, features: int, *, kernel_size: int = 3, dilation: int = 1, **options):
    """Applies a `convolutions.Linear` of stride 1 without ReLU, with zeros beyond the image.

    Called in a compact method of a network.

    Args:
      tile: the input; rows near its ends whose neighbours it lacks are dropped.
      features: output channels.
      kernel_size: side of the square kernel, odd.
      dilation: pixels from tap to tap.
      **options: other attributes of `convolutions.Linear`, such as its name.

    Returns:
      `RowTile`.
    """
    inside, reach = tile.inside(), dilation * (kernel_size // 2)
    layer = convolutions.Linear(
        features,
        kernel_size,
        dilation=dilation,
        padding=((reach if inside is None else 0,) * 2, (reach, reach)),
        activate=False,
        **options,
    )
    values = tile.values if inside is None else jnp.where(inside, tile.values, 0)
    return tile.replace(values=layer(values), top=None if inside is None else tile.top + reach)

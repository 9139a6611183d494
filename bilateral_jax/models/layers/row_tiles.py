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
import flax.linen as nn
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
      height: rows of the image, int32 scalar; None for a whole image. Of features at a lower
        resolution `top` and `height` count rows of that.
      stride: rows of the image per row of the tile.
    """

    values: jax.Array
    top: Any = None
    height: Any = None
    stride: int = flax.struct.field(pytree_node=False, default=1)

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

    def trim(self, rows: int) -> "RowTile":
        """Drops rows at both ends; a whole image keeps them."""
        if self.top is None or not rows:
            return self
        return self.replace(values=self.values[:, rows:-rows], top=self.top + rows)

    def reflected(self) -> "RowTile":
        """Replaces rows beyond the image by its own, reflected about its first and last row.

        A row whose source lies outside the tile is arbitrary. A whole image stays as it is.
        """
        if self.top is None:
            return self
        rows = self.values.shape[1]
        period = jnp.maximum(2 * (self.height - 1), 1)
        position = (self.top + jnp.arange(rows)) % period
        source = jnp.minimum(position, period - position) - self.top
        return self.map(lambda x: jnp.take(x, jnp.clip(source, 0, rows - 1), axis=1))

    def extended(self, multiple: int) -> "RowTile":
        """Continues an image by reflection at the bottom and right, to sides that are multiples."""
        down, right = (-size % multiple for size in self.values.shape[1:3])
        padding = ((0, 0), (0, 0 if self.top is not None else down), (0, right), (0, 0))
        tile = self.reflected().map(lambda x: jnp.pad(x, padding, mode="reflect"))
        if self.top is None:
            return tile
        return tile.replace(height=self.height + -self.height % multiple)


def convolve(
    tile: RowTile,
    features: int,
    *,
    kernel_size: int = 3,
    dilation: int = 1,
    border: str = "zeros",
    **options,
):
    """Applies a `convolutions.Linear` of stride 1 without ReLU.

    Called in a compact method of a network.

    Args:
      tile: the input; rows near its ends whose neighbours it lacks are dropped.
      features: output channels.
      kernel_size: side of the square kernel, odd.
      dilation: pixels from tap to tap.
      border: what lies beyond the image, "zeros" or "reflect": the image reflected about its
        outermost rows and columns.
      **options: other attributes of `convolutions.Linear`, such as its name.

    Returns:
      `RowTile`.
    """
    inside, reach = tile.inside(), dilation * (kernel_size // 2)
    rows, columns = ((reach if inside is None else 0,) * 2, (reach, reach))
    if border == "reflect":
        values = jnp.pad(tile.reflected().values, ((0, 0), rows, columns, (0, 0)), mode="reflect")
        padding = ((0, 0), (0, 0))
    else:
        values, padding = _zero_beyond(tile), (rows, columns)
    layer = convolutions.Linear(
        features, kernel_size, dilation=dilation, padding=padding, activate=False, **options
    )
    return tile.replace(values=layer(values), top=None if inside is None else tile.top + reach)


def add_residual(tile: RowTile, image: RowTile, *, kernel_size: int, **options):
    """Adds `tanh(.)` of a convolution, the layer "residual", whose weights start at 0, to an image.

    A network that ends so starts as the identity. Called in a compact method of a network.

    Args:
      tile: features of the last layer but this.
      image: the image itself, `[b, rows, w, c]` in [0, 1]; may reach further up and down.
      kernel_size: side of the square kernel, odd.
      **options: further ones of `convolve`.

    Returns:
      `RowTile`, in [-1, 2].
    """
    zeros = nn.initializers.zeros
    change = convolve(
        tile, image.values.shape[-1], kernel_size=kernel_size, kernel_init=zeros, bias_init=zeros,
        name="residual", **options,
    )  # fmt: skip
    return change.map(jnp.tanh).plus(image)


def downsample(tile: RowTile, features: int, **options):
    """Applies a 3 x 3 `convolutions.Linear` of stride 2 without ReLU, with zeros beyond the image.

    Output row i lies at row 2 i of the input. Called in a compact method of a network.

    Args:
      tile: the input. Both sides of the image are even, and so are the tile's first row and its
        number of rows. Four of these are dropped at either end, so that if they are multiples of 4
        the output's are even.
      features: output channels.
      **options: other attributes of `convolutions.Linear`, such as its name.

    Returns:
      `RowTile`.
    """
    whole = tile.top is None
    layer = convolutions.Linear(
        features,
        stride=2,
        padding=((1 if whole else 0,) * 2, (1, 1)),
        activate=False,
        **options,
    )
    tile = tile.replace(stride=2 * tile.stride)
    if whole:
        return tile.map(layer)
    values = layer(_zero_beyond(tile)[:, 1:])[:, 1:-2]
    return tile.replace(values=values, top=tile.top // 2 + 2, height=tile.height // 2)


def upsample(tile: RowTile, features: int, **options):
    """Applies a `convolutions.Transposed`: twice the rows and columns.

    Called in a compact method of a network.

    Args:
      tile: the input; one row at either end is dropped.
      features: output channels.
      **options: other attributes of `convolutions.Transposed`, such as its name.

    Returns:
      `RowTile`.
    """
    layer = convolutions.Transposed(features, **options)
    if tile.top is None:
        return tile.replace(values=layer(tile.values), stride=tile.stride // 2)
    tile = tile.replace(
        values=layer(_zero_beyond(tile)),
        top=2 * tile.top,
        height=2 * tile.height,
        stride=tile.stride // 2,
    )
    return tile.trim(2)


def _zero_beyond(tile):
    """The values, 0 in rows that lie beyond the image."""
    inside = tile.inside()
    return tile.values if inside is None else jnp.where(inside, tile.values, 0)

"""Networks of convolutions that look at a whole picture, computed on strips of its rows.

Some published networks normalise by the mean and variance of the whole picture while they enhance.
Cutting such a picture into tiles changes the result: each tile would have statistics of its own,
and zeros at its border where the picture goes on. A `Strip` says where its rows lie in the picture,
so that each convolution sees true neighbours, and zeros only beyond the picture; the statistics are
gathered over all strips first (`inference/row_tiles.py`). What comes out is the whole picture's, to
rounding.

Receives pictures or strips of them from `models/model.py` and `inference/row_tiles.py`.
Hands feature maps to the networks of `models/dped.py` and `models/can.py`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from bilateral_jax.models.layers import convolutions


@flax.struct.dataclass
class Strip:
    """Features of some rows of a picture.

    Attributes:
      values: float `[b, rows, w, c]`.
      top: row of the picture that the first row belongs to (negative above the picture), int32
        scalar; None for a whole picture.
      height: rows of the picture, int32 scalar; None for a whole picture.
    """

    values: jax.Array
    top: Any = None
    height: Any = None

    def inside(self):
        """Marks rows that lie in the picture: bool `[rows, 1, 1]`, or None for a whole picture."""
        if self.top is None:
            return None
        rows = self.top + jnp.arange(self.values.shape[1])
        return ((rows >= 0) & (rows < self.height))[:, None, None]

    def map(self, function: Callable) -> "Strip":
        """Applies a function that keeps every row where it is."""
        return self.replace(values=function(self.values))

    def plus(self, other: "Strip") -> "Strip":
        """Adds features of a strip that may reach further up and down: a skip connection."""
        spare = (other.values.shape[1] - self.values.shape[1]) // 2
        return self.map(lambda x: x + other.values[:, spare : spare + x.shape[1]])


class Moments(NamedTuple):
    """Mean and biased variance of every channel of a picture: `[b, 1, 1, c]` each."""

    mean: jax.Array
    variance: jax.Array


def moments(strip: Strip) -> Moments:
    """Measures a whole picture's features."""
    mean = strip.values.mean((1, 2), keepdims=True)
    return Moments(mean, jnp.square(strip.values - mean).mean((1, 2), keepdims=True))


class Convolution(nn.Module):
    """Convolution of stride 1 with zeros beyond the picture.

    On a strip the rows near its ends are not known and fall away.

    Attributes:
      features: output channels.
      kernel_size: side of the square kernel, odd.
      dilation: pixels from tap to tap.
      use_bias: add a bias.
      kernel_init: weights.
      bias_init: bias.
    """

    features: int
    kernel_size: int = 3
    dilation: int = 1
    use_bias: bool = True
    kernel_init: Callable = convolutions.he_truncated_normal
    bias_init: Callable = nn.initializers.zeros

    @nn.compact
    def __call__(self, strip: Strip) -> Strip:
        x, inside = strip.values, strip.inside()
        side = (self.kernel_size,) * 2
        kernel = self.param("kernel", self.kernel_init, (*side, x.shape[-1], self.features))
        reach = self.dilation * (self.kernel_size // 2)
        if inside is not None:
            x = jnp.where(inside, x, 0)
        y = lax.conv_general_dilated(
            x,
            kernel,
            (1, 1),
            ((reach if inside is None else 0,) * 2, (reach, reach)),
            rhs_dilation=(self.dilation,) * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=convolutions.PRECISION,
        )
        if self.use_bias:
            y = y + self.param("bias", self.bias_init, (self.features,)).reshape(1, 1, 1, -1)
        return strip.replace(values=y, top=None if inside is None else strip.top + reach)

"""CAN: a context aggregation network that approximates an image operator at full resolution.

Dilated 3 x 3 convolutions (dilation 1, 2, 4, ...), each followed by adaptive normalisation with the
mean and variance of the whole image, in training and in inference, and a leaky ReLU.

Reference: Chen, Xu and Koltun 2017, "Fast image processing with fully-convolutional networks",
section 3; published code and weights.
"""

import flax.linen as nn
import jax.numpy as jnp

from bilateral_jax.models import inference_methods
from bilateral_jax.models.layers import convolutions, norms, row_tiles


def _identity_kernel(key, shape, dtype=jnp.float32):
    """Initial weights of every layer but the last: each channel passes through unchanged."""
    del key
    identity = jnp.eye(*shape[2:], dtype=dtype)
    return jnp.zeros(shape, dtype).at[shape[0] // 2, shape[1] // 2].set(identity)


class CAN(nn.Module):
    """Dilated convolutions with adaptive normalisation, then one 1 x 1 layer.

    Attributes:
      width: channels of every layer but the last: 24 for CAN24, 32 for CAN32.
      dilations: of the 3 x 3 layers; (1, 2, ..., 64, 1) for CAN24, up to 128 for CAN32.
      conditions: input channels beyond red, green and blue, constant over the image: the strength
        of a parameterised operator, or indicators of one operator among several.
      channel_order: order of the colours inside the network, "bgr" as the published weights, or
        "rgb"; images are red, green, blue in both cases.
    """

    width: int = 24
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 1)
    conditions: int = 0
    channel_order: str = "rgb"

    def __post_init__(self):
        super().__post_init__()
        if self.channel_order not in ("rgb", "bgr"):
            raise ValueError(f'channel_order must be "rgb" or "bgr", got {self.channel_order!r}')

    def example_inputs(self):
        """Arguments of `__call__` of the smallest size, for initialisation."""
        return (jnp.zeros((1, 1, 1, 3 + self.conditions)),)

    @property
    def inference_method(self):
        """By row tiles, with the moments of every dilated layer."""
        return inference_methods.ByRowTiles(
            statistics=len(self.dilations), features=self.width, conditions=self.conditions
        )

    def __call__(self, image):
        """Applies the operator to whole images.

        Args:
          image: `[b, h, w, 3 + conditions]`, colours in [0, 1], then the conditions.

        Returns:
          `[b, h, w, 3]`, unbounded.
        """
        return self.run(row_tiles.RowTile(image)).values

    enhance = __call__

    @nn.compact
    def run(self, tile, known=(), *, stop=None):
        """Runs the network on a row tile.

        Args:
          tile: a `RowTile` of the image.
          known: `Moments` of the whole image for the first norms; the others are measured on the
            tile, which must then be the whole image.
          stop: index of a norm: return its input instead.

        Returns:
          A `RowTile`; rows near its ends that depend on rows outside the tile are dropped.
        """
        x = tile.map(self._reorder)
        for i, dilation in enumerate(self.dilations):
            x = row_tiles.convolve(
                x,
                self.width,
                dilation=dilation,
                use_bias=False,
                kernel_init=_identity_kernel,
                name=f"conv_{i}",
            )
            if i == stop:
                return x
            moments = known[i] if i < len(known) else norms.moments(x.values)
            x = x.map(norms.AdaptiveNorm(name=f"norm_{i}"), moments)
            x = x.map(convolutions.leaky_relu)
        kernel = nn.initializers.glorot_uniform()
        x = row_tiles.convolve(x, 3, kernel_size=1, kernel_init=kernel, name="last")
        return x.map(self._reorder)

    def _reorder(self, values):
        if self.channel_order == "rgb":
            return values
        return jnp.concatenate([values[..., 2::-1], values[..., 3:]], axis=-1)

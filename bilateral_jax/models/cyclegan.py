"""CycleGAN's generator: a residual network at a quarter of the resolution, any photo in, one out.

Two strided convolutions, residual blocks and two transposed convolutions, each followed by instance
norm with statistics of the whole image, without gain and shift. An image whose sides are no
multiples of 4 is continued to the next ones by reflection at the bottom and right, and cut again.

Reference: Zhu, Park, Isola and Efros 2017, "Unpaired image-to-image translation using
cycle-consistent adversarial networks", section 4 and appendix 7.2; the published code, which has a
bias in every layer and tanh at the end. Its critics are `patch_critic.PatchCritic`.
"""

import functools

import flax.linen as nn
import jax.numpy as jnp

from bilateral_jax.models import inference_methods
from bilateral_jax.models.layers import norms, row_tiles

_INIT = nn.initializers.normal(0.02)
_EPSILON = 1e-5  # PyTorch's
_STRIDE = 4  # of the residual blocks


class ResNetGenerator(nn.Module):
    """The generator: 7 x 7, two strided 3 x 3, residual blocks, two transposed 3 x 3, 7 x 7.

    11,378,179 parameters with nine blocks. Values are in [-1, 1] inside. The 7 x 7 layers and the
    blocks continue their input by reflection, the others by zeros.

    Attributes:
      width: channels at full resolution; twice as many at a half, four times at a quarter.
      blocks: residual blocks of two 3 x 3 convolutions; 9 for 256 x 256 pixels and more, 6 for 128
        x 128 as published.
      residual: the output is the image plus `tanh(.)`, whose last layer (`residual`) starts at 0:
        the network starts as the identity. Not in the original, whose output is
        `tanh(.) / 2 + 1 / 2`; the two do not exchange weights.
    """

    width: int = 64
    blocks: int = 9
    residual: bool = False

    def __post_init__(self):
        super().__post_init__()
        for name in ("width", "blocks"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a positive int, got {value!r}")
        if not isinstance(self.residual, bool):
            raise ValueError(f"residual must be True or False, got {self.residual!r}")

    def example_inputs(self):
        """Arguments of `__call__` of the smallest size, for initialisation."""
        return (jnp.zeros((1, _STRIDE, _STRIDE, 3)),)

    @property
    def inference_method(self):
        """By row tiles, with the moments of every layer but the last."""
        return inference_methods.ByRowTiles(
            statistics=5 + 2 * self.blocks, features=self.width, stride=_STRIDE
        )

    def __call__(self, image):
        """Translates images `[b, h, w, 3]` in [0, 1] of any size: the same shape.

        The result is in [0, 1], or with `residual` in [-1, 2].
        """
        out = self.run(row_tiles.RowTile(image)).values
        return out[:, : image.shape[1]]

    enhance = __call__

    @nn.compact
    def run(self, tile, known=(), *, stop=None):
        """Runs the network on a row tile.

        Args:
          tile: a `RowTile` of the image, whose first row and number of rows are multiples of 4; or
            the whole image, of any size.
          known: `Moments` of the whole image for the first norms; the others are measured on the
            tile, which must then be the whole image.
          stop: index of a norm: return its input instead.

        Returns:
          A `RowTile`; rows near its ends that depend on rows outside the tile are dropped. A whole
          image has rows up to the next multiple of 4.
        """
        columns = tile.values.shape[2]
        reflecting = functools.partial(row_tiles.convolve, border="reflect", kernel_init=_INIT)
        layers = {
            "head": functools.partial(reflecting, kernel_size=7),
            "down": functools.partial(row_tiles.downsample, kernel_init=_INIT),
            "first": reflecting,
            "second": reflecting,
            "up": functools.partial(row_tiles.upsample, kernel_init=_INIT),
        }
        tile = tile.extended(_STRIDE)
        x = skip = tile.map(lambda image: 2 * image - 1)
        for i, (kind, features) in enumerate(self._layers()):
            skip = x if kind == "first" else skip
            x = layers[kind](x, features, name=f"conv_{i}")
            if kind == "head":
                x = x.trim(1)  # what follows needs an even number of rows
            if i == stop:
                return x
            moments = known[i] if i < len(known) else norms.moments(x.values)
            x = x.map(norms.InstanceNorm(_EPSILON, affine=False), moments)
            x = x.plus(skip) if kind == "second" else x.map(nn.relu)
        if self.residual:
            x = row_tiles.add_residual(x, tile, kernel_size=7, border="reflect")
            return x.map(lambda y: y[:, :, :columns])
        x = reflecting(x, 3, kernel_size=7, name="last")
        return x.map(lambda y: (0.5 * jnp.tanh(y) + 0.5)[:, :, :columns])

    def _layers(self):
        """Every layer with a norm: (kind, channels)."""
        full, half, quarter = (self.width * factor for factor in (1, 2, 4))
        block = [("first", quarter), ("second", quarter)]
        return [
            *[("head", full), ("down", half), ("down", quarter)],
            *block * self.blocks,
            *[("up", half), ("up", full)],
        ]

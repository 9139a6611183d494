"""CAN: a context aggregation network that imitates an image operator at full resolution.

3 x 3 convolutions whose taps lie 1, 2, 4, ... pixels apart; every layer normalises by the mean and
variance of the whole picture it is looking at, in training and afterwards, and mixes the result
with what it was.

Receives pictures from `models/model.py`, strips of them from `inference/row_tiles.py`.
Hands pictures back.

Reference: Chen, Xu and Koltun 2017, "Fast image processing with fully-convolutional networks",
section 3; published code and weights.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax.models.layers import row_tiles

_EPSILON = 1e-3
_SLOPE = 0.2


def _identity_kernel(key, shape, dtype=jnp.float32):
    """The first weights of every layer but the last: each channel passes through unchanged."""
    del key
    kernel = np.zeros(shape)
    kernel[shape[0] // 2, shape[1] // 2] = np.eye(*shape[2:])
    return jnp.asarray(kernel, dtype)


class CAN(nn.Module):
    """Dilated convolutions with adaptive normalisation, then one 1 x 1 layer.

    Attributes:
      width: channels of every layer but the last: 24 for CAN24, 32 for CAN32.
      dilations: distance of the taps, layer by layer; (1, 2, ..., 64, 1) for CAN24, up to 128 for
        CAN32.
      conditions: channels beyond red, green and blue that are the same at every pixel: the strength
        of a parameterised operator, or indicators of one operator among several.
      channel_order: "bgr" as the published weights, or "rgb", in which the network sees and gives
        channels; pictures are red, green, blue in any case.
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
    def statistics(self):
        """How many statistics of the whole picture the network uses, in order of use."""
        return len(self.dilations)

    def __call__(self, image):
        """Applies the operator to whole pictures.

        Args:
          image: `[b, h, w, 3 + conditions]`, colours in [0, 1], then the conditions.

        Returns:
          `[b, h, w, 3]`, unbounded.
        """
        return self.run(row_tiles.Strip(image)).values

    enhance = __call__

    @nn.compact
    def run(self, strip, known=(), *, stop=None):
        """Runs the network on a strip, with statistics measured before.

        Args:
          strip: a `Strip` of the picture.
          known: `Moments` of the first statistics of the whole picture; those missing are measured
            on the strip, which must then be the whole picture.
          stop: number of a statistic: return the features that it is measured on.

        Returns:
          A `Strip` that is shorter by the rows near its ends that other rows decide.
        """
        x = strip.map(self._reorder)
        for i, dilation in enumerate(self.dilations):
            x = row_tiles.Convolution(
                self.width,
                dilation=dilation,
                use_bias=False,
                kernel_init=_identity_kernel,
                name=f"conv_{i}",
            )(x)
            if i == stop:
                return x
            moments = known[i] if i < len(known) else row_tiles.moments(x)
            x = AdaptiveNorm(name=f"norm_{i}")(x, moments)
            x = x.map(lambda y: jnp.maximum(_SLOPE * y, y))
        last = row_tiles.Convolution(
            3, kernel_size=1, kernel_init=nn.initializers.glorot_uniform(), name="last"
        )
        return last(x).map(self._reorder)

    def _reorder(self, values):
        if self.channel_order == "rgb":
            return values
        return jnp.concatenate([values[..., 2::-1], values[..., 3:]], axis=-1)


class AdaptiveNorm(nn.Module):
    """`a * x + b * normalised(x)` with two learned numbers a = 1 and b = 0 to start with.

    The normalised part has a shift per channel and no gain.
    """

    @nn.compact
    def __call__(self, strip, moments):
        shift = self.param("shift", nn.initializers.zeros, (strip.values.shape[-1],))
        kept = self.param("kept", nn.initializers.ones, ())
        normalised = self.param("normalised", nn.initializers.zeros, ())
        scale = jax.lax.rsqrt(moments.variance + _EPSILON)
        shift = shift.reshape(1, 1, 1, -1)
        return strip.map(lambda x: kept * x + normalised * ((x - moments.mean) * scale + shift))

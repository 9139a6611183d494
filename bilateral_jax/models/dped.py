"""DPED: a residual network that gives phone photos the look of a reflex camera, and its critic.

The generator is fully convolutional and normalises by statistics of the whole picture, in training
and afterwards (the paper's text says batch norm; the published code and weights have instance
norm). The critic tells patches of the camera from enhanced ones by their brightness alone, so that
colour is left to another loss.

Receives pictures from `models/model.py` and the experiments, strips of them from
`inference/row_tiles.py`.
Hands pictures, or the critic's two logits, back.

Reference: Ignatov et al. 2017, "DSLR-quality photos on mobile devices with deep convolutional
networks", section 3; published code and weights where the two differ.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from bilateral_jax import color
from bilateral_jax.models.layers import convolutions, row_tiles

_EPSILON = 1e-3
_INIT = nn.initializers.truncated_normal(0.01, lower=-2.0, upper=2.0)
_BIAS = nn.initializers.constant(0.01)
_INITIAL = {
    "published": (_INIT, _BIAS),
    "he": (convolutions.he_truncated_normal, nn.initializers.zeros),
}
_SLOPE = 0.2


class DPED(nn.Module):
    """The generator: 9 x 9, four residual blocks of two 3 x 3, two more 3 x 3, 9 x 9.

    The output is `0.58 tanh(.) + 0.5`, so it may leave [0, 1] by 0.08; nothing is clipped here.

    Attributes:
      width: channels of every layer but the last.
      blocks: residual blocks.
      initial: first weights. "published": so small (deviation 0.01) that hardly anything of a
        picture reaches the end, and the first steps may switch whole layers off; "he": as large as
        keeps a signal its size, but for the last layer, which starts the same.
    """

    width: int = 64
    blocks: int = 4
    initial: str = "published"

    def __post_init__(self):
        super().__post_init__()
        if self.initial not in _INITIAL:
            raise ValueError(f"initial must be one of {tuple(_INITIAL)}, got {self.initial!r}")

    def example_inputs(self):
        """Arguments of `__call__` of the smallest size, for initialisation."""
        return (jnp.zeros((1, 1, 1, 3)),)

    @property
    def statistics(self):
        """How many statistics of the whole picture the network uses, in order of use."""
        return 2 * self.blocks

    def __call__(self, image):
        """Enhances whole pictures `[b, h, w, 3]` in [0, 1]: the same shape, in (-0.08, 1.08)."""
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
        kernel, bias = _INITIAL[self.initial]
        conv = functools.partial(row_tiles.Convolution, kernel_init=kernel, bias_init=bias)
        x = conv(self.width, kernel_size=9, name="head")(strip).map(nn.relu)
        for block in range(self.blocks):
            skip = x
            for i in (2 * block, 2 * block + 1):
                x = conv(self.width, name=f"conv_{i}")(x)
                if i == stop:
                    return x
                moments = known[i] if i < len(known) else row_tiles.moments(x)
                x = InstanceNorm(name=f"norm_{i}")(x, moments).map(nn.relu)
            x = x.plus(skip)
        for i in range(2):
            x = conv(self.width, name=f"tail_{i}")(x).map(nn.relu)
        x = conv(3, kernel_size=9, kernel_init=_INIT, name="last")(x)
        return x.map(lambda y: 0.58 * jnp.tanh(y) + 0.5)


class InstanceNorm(nn.Module):
    """Scale and shift per channel after normalising by a picture's own mean and variance."""

    @nn.compact
    def __call__(self, strip, moments):
        shape = (strip.values.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, shape)
        shift = self.param("shift", nn.initializers.zeros, shape)
        scale, shift = (x.reshape(1, 1, 1, -1) for x in (scale, shift))
        gain = scale * jax.lax.rsqrt(moments.variance + _EPSILON)
        return strip.map(lambda x: (x - moments.mean) * gain + shift)


class DPEDCritic(nn.Module):
    """The discriminator: five convolutions that shrink a patch, a hidden dense layer, two logits.

    Every convolution is followed by a leaky ReLU and then, but for the first, by instance norm.

    Attributes:
      channels: of the five convolutions.
      hidden: units of the dense layer.
      size: side of the patches.
      pooled: average over the positions before the dense layer: patches of any size, and 6 million
        parameters less; the original is tied to one size.
    """

    channels: tuple[int, ...] = (48, 128, 192, 192, 128)
    hidden: int = 1024
    size: int = 100
    pooled: bool = False

    def __post_init__(self):
        super().__post_init__()
        if len(self.channels) != 5:
            raise ValueError(f"channels must be five numbers, got {tuple(self.channels)}")

    def example_inputs(self):
        """Arguments of `__call__`, for initialisation."""
        return (jnp.zeros((1, self.size, self.size, 3)),)

    @nn.compact
    def __call__(self, image):
        """Judges patches.

        Args:
          image: `[b, size, size, 3]`, red, green, blue; what leaves [0, 1] is not clipped.

        Returns:
          Logits `[b, 2]`: of a patch of the camera, of an enhanced one.
        """
        if max(image.shape[1:3]) <= 16:
            raise ValueError(
                f"patches of {image.shape[1]} x {image.shape[2]} pixels shrink to one position, "
                "where instance norm leaves nothing to judge; one side must exceed 16"
            )
        if not self.pooled and image.shape[1:3] != (self.size, self.size):
            raise ValueError(
                f"this critic judges patches of {self.size} x {self.size} pixels, got "
                f"{image.shape[1]} x {image.shape[2]}; pooled=True takes any size"
            )
        linear = functools.partial(
            convolutions.Linear, activate=False, kernel_init=_INIT, bias_init=_BIAS
        )
        x = (image * jnp.asarray(color.LUMA_RGB_TO_GRAYSCALE).reshape(1, 1, 1, 3)).sum(
            -1, keepdims=True
        )
        steps = zip(self.channels, (11, 5, 3, 3, 3), (4, 2, 1, 1, 2))
        for i, (features, side, stride) in enumerate(steps):
            x = _leaky(linear(features, side, stride, name=f"conv_{i}")(x))
            if i:
                strip = row_tiles.Strip(x)
                x = InstanceNorm(name=f"norm_{i}")(strip, row_tiles.moments(strip)).values
        x = x.mean((1, 2)) if self.pooled else x.reshape(len(x), -1)
        x = _leaky(linear(self.hidden, 0, name="hidden")(x))
        return linear(2, 0, name="last")(x)


def _leaky(x):
    return jnp.maximum(_SLOPE * x, x)

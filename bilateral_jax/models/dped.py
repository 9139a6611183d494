"""DPED: a residual network that gives phone photos the look of a reflex camera.

The network is fully convolutional and normalises by statistics of the whole picture, in training
and afterwards (the paper's text says batch norm; the published code and weights have instance
norm).

Receives pictures from `models/model.py`, strips of them from `streaming.py`.
Hands pictures back.

Reference: Ignatov et al. 2017, "DSLR-quality photos on mobile devices with deep convolutional
networks", section 3; published code and weights where the two differ.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from bilateral_jax.models import strips

_EPSILON = 1e-3
_INIT = nn.initializers.truncated_normal(0.01, lower=-2.0, upper=2.0)
_BIAS = nn.initializers.constant(0.01)


class DPED(nn.Module):
    """The generator: 9 x 9, four residual blocks of two 3 x 3, two more 3 x 3, 9 x 9.

    The output is `0.58 tanh(.) + 0.5`, so it may leave [0, 1] by 0.08; nothing is clipped here.

    Attributes:
      width: channels of every layer but the last.
      blocks: residual blocks.
    """

    width: int = 64
    blocks: int = 4

    def example_inputs(self):
        """Arguments of `__call__` of the smallest size, for initialisation."""
        return (jnp.zeros((1, 1, 1, 3)),)

    @property
    def statistics(self):
        """How many statistics of the whole picture the network uses, in order of use."""
        return 2 * self.blocks

    def __call__(self, image):
        """Enhances whole pictures `[b, h, w, 3]` in [0, 1]: the same shape, in (-0.08, 1.08)."""
        return self.run(strips.Strip(image)).values

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
        conv = functools.partial(strips.Convolution, kernel_init=_INIT, bias_init=_BIAS)
        x = conv(self.width, kernel_size=9, name="head")(strip).map(nn.relu)
        for block in range(self.blocks):
            skip = x
            for i in (2 * block, 2 * block + 1):
                x = conv(self.width, name=f"conv_{i}")(x)
                if i == stop:
                    return x
                moments = known[i] if i < len(known) else strips.moments(x)
                x = InstanceNorm(name=f"norm_{i}")(x, moments).map(nn.relu)
            x = x.plus(skip)
        for i in range(2):
            x = conv(self.width, name=f"tail_{i}")(x).map(nn.relu)
        x = conv(3, kernel_size=9, name="last")(x)
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

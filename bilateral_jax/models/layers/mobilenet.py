"""The two convolutions of MobileNet, padded as the published graph pads them.

Zeros stand on all four sides, whatever the stride; that differs from TensorFlow's SAME, and so from
`models/layers/`, where the stride is 2.

Receives feature maps from `models/nima.py`.
Hands feature maps back.

Reference: Howard et al. 2017, "MobileNets: Efficient convolutional neural networks for mobile
vision applications", section 3.1.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

from bilateral_jax.models.layers import convolutions


class Convolution(nn.Module):
    """Convolution without bias, zeros on all sides so that stride 1 keeps the size."""

    features: int
    kernel_size: int
    stride: int

    @nn.compact
    def __call__(self, x):
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", convolutions.he_truncated_normal, shape)
        return lax.conv_general_dilated(
            x,
            kernel,
            (self.stride, self.stride),
            [(self.kernel_size // 2,) * 2] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=convolutions.PRECISION,
        )


class Depthwise(nn.Module):
    """A 3 x 3 kernel for each channel, zeros on all four sides.

    The sum over the nine taps is written out: XLA's grouped convolution takes tens of times as long
    on a CPU.
    """

    stride: int

    @nn.compact
    def __call__(self, x):
        kernel = self.param("kernel", convolutions.he_truncated_normal, (3, 3, x.shape[-1]))
        rows, columns = ((length - 1) // self.stride for length in x.shape[1:3])
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        out = 0.0
        for i in range(3):
            for j in range(3):
                down = slice(i, i + self.stride * rows + 1, self.stride)
                right = slice(j, j + self.stride * columns + 1, self.stride)
                out = out + x[:, down, right] * kernel[i, j].reshape(1, 1, 1, -1)
        return out

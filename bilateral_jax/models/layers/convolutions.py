"""Convolutions and dense layers as the published networks have them.

Three habits of TensorFlow 1 decide whether published weights give the published image: SAME padding
whose odd row goes to the bottom and right, batch norm without a gain that replaces the bias, and
weights from a normal distribution cut at two standard deviations. MobileNet alone pads all four
sides. Products of float32 run at `Precision.HIGHEST`: a network's result is a colour transform or
an image, where the shorter mantissa of a fast product shows as banding. Where a network asks for
bfloat16, hidden features are stored and multiplied in that; weights, biases, batch moments and the
sums of a product stay float32.
"""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from bilateral_jax.models.layers import norms, reverse_mode_convolution

PRECISION = lax.Precision.HIGHEST
LEAKY_SLOPE = 0.2  # of CAN and of DPED's critic
# PyTorch's initial weights: uniform in +- 1 / sqrt(fan-in), which its biases have, too.
pytorch_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def truncated_normal(factor: float) -> Callable:
    """Makes an initialiser of weights of variance `factor / fan_in`.

    Args:
      factor: variance of the outputs for inputs of variance 1.

    Returns:
      `(key, shape, dtype) -> array`: a normal of std sqrt(1.3 * factor / fan_in), cut at two of
      these; 1.3 makes up for the variance that the cut removes. In `shape` outputs come last; every
      other axis counts as fan-in.
    """

    def draw(key, shape, dtype=jnp.float32):
        deviation = math.sqrt(1.3 * factor / math.prod(shape[:-1]))
        return deviation * jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype)

    return draw


# Reference: He et al. 2015, eq. 10.
he_truncated_normal = truncated_normal(2.0)


def leaky_relu(x):
    """Computes max(0.2 x, x)."""
    return jnp.maximum(LEAKY_SLOPE * x, x)


class Linear(nn.Module):
    """Convolution, or dense (`kernel_size` 0), then batch norm or bias, then ReLU or nothing.

    Attributes:
      features: output channels.
      kernel_size: side of the square kernel; 0 for a dense layer on `[b, c]`.
      stride: step of the convolution on both axes.
      dilation: pixels from tap to tap.
      padding: "SAME" as TensorFlow, or ((top, bottom), (left, right)) zeros.
      batch_norm: normalise over every axis but the last; replaces the bias.
      use_bias: add a bias where there is no batch norm.
      activate: end in a ReLU.
      axis_name: pmap axis whose devices share the batch statistics.
      dtype: of what is multiplied and of the result; the parameters are float32.
      kernel_init: weights.
      bias_init: bias.
      kernel_map: function from the kernel to the one that is used; None for itself.
    """

    features: int
    kernel_size: int = 3
    stride: int = 1
    dilation: int = 1
    padding: Any = "SAME"
    batch_norm: bool = False
    use_bias: bool = True
    activate: bool = True
    axis_name: str | None = None
    dtype: str = "float32"
    kernel_init: Callable = he_truncated_normal
    bias_init: Callable = nn.initializers.zeros
    kernel_map: Callable | None = None

    @nn.compact
    def __call__(self, x, *, train: bool = False):
        y = self._product(x.astype(self.dtype)).astype(jnp.float32)
        if self.batch_norm:
            norm = norms.BatchNorm(self.features, name="batch_norm")
            mean, scale, beta = norm(lambda: self._moments(y), train=train)
            y = (y - _last(mean, y)) * _last(scale, y) + _last(beta, y)
        elif self.use_bias:
            y = y + _last(self.param("bias", self.bias_init, (self.features,)), y)
        return (nn.relu(y) if self.activate else y).astype(self.dtype)

    def _product(self, x):
        side = (self.kernel_size,) * 2 if self.kernel_size else ()
        kernel = self.param("kernel", self.kernel_init, (*side, x.shape[-1], self.features))
        if self.kernel_map is not None:
            kernel = self.kernel_map(kernel)
        kernel = kernel.astype(self.dtype)
        precision = PRECISION if self.dtype == "float32" else None
        if not self.kernel_size:
            return jnp.dot(x, kernel, precision=precision)
        geometry = (self.stride, self.padding, self.dilation, precision)
        return reverse_mode_convolution.convolve(
            x, kernel, reverse_mode_convolution.Geometry(*geometry)
        )

    def _moments(self, y):
        axes = tuple(range(y.ndim - 1))
        mean = norms.across_replicas(y.mean(axes), self.axis_name)
        variance = norms.across_replicas(jnp.square(y - _last(mean, y)).mean(axes), self.axis_name)
        return mean, variance


class Transposed(nn.Module):
    """Transposed 3 x 3 convolution of stride 2 with a bias: twice as many rows and columns.

    It is the 3 x 3 convolution of the image with zeros between its pixels and beyond: `x[i]` lies
    at row `2 i` of the output, so that even rows see one row of taps and odd rows two. PyTorch's
    with padding 1 and output_padding 1, whose kernels are flipped along both axes.

    Attributes:
      features: output channels.
      kernel_init: weights.
    """

    features: int
    kernel_init: Callable = he_truncated_normal

    @nn.compact
    def __call__(self, x):
        kernel = self.param("kernel", self.kernel_init, (3, 3, x.shape[-1], self.features))
        y = lax.conv_general_dilated(
            x,
            kernel,
            (1, 1),
            ((1, 2), (1, 2)),
            lhs_dilation=(2, 2),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=PRECISION,
        )
        return y + _last(self.param("bias", nn.initializers.zeros, (self.features,)), y)


class Depthwise(nn.Module):
    """Depthwise convolution without bias.

    The sum over the taps is written out: XLA's grouped convolution takes tens of times as long on a
    CPU.

    Attributes:
      stride: step on both axes.
      kernel_size: side of the square kernel.
      padding: ((top, bottom), (left, right)) zeros, or "SAME" as TensorFlow.

    Reference: Howard et al. 2017, "MobileNets", section 3.1.
    """

    stride: int
    kernel_size: int = 3
    padding: Any = ((1, 1), (1, 1))

    @nn.compact
    def __call__(self, x):
        side = self.kernel_size
        kernel = self.param("kernel", he_truncated_normal, (side, side, x.shape[-1]))
        padding = self.padding
        if padding == "SAME":
            padding = lax.padtype_to_pads(
                x.shape[1:3], (side, side), (self.stride, self.stride), padding
            )
        x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
        rows, columns = ((length - side) // self.stride for length in x.shape[1:3])
        out = 0.0
        for i in range(side):
            for j in range(side):
                down = slice(i, i + self.stride * rows + 1, self.stride)
                right = slice(j, j + self.stride * columns + 1, self.stride)
                out = out + x[:, down, right] * kernel[i, j].reshape(1, 1, 1, -1)
        return out


def _last(vector, like):
    """Reshapes a vector to the rank of `like`, its own axis last."""
    return vector.reshape((1,) * (like.ndim - 1) + vector.shape)

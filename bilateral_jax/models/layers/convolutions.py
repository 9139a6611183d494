"""Convolution, dense layer and batch norm as the original networks have them.

The originals were trained with TensorFlow 1; three of its habits decide whether published weights
give the published picture, so they live here once: SAME padding whose odd row goes to the bottom
and right, batch norm without a gain that replaces the bias, and weights from a normal distribution
cut at two standard deviations. Products of float32 run at `Precision.HIGHEST`: the coefficient
network costs 41 M multiply-adds whatever the size of the photo, and its result is a colour
transform, where the shorter mantissa of a fast product would show as banding. Where a network asks
for bfloat16, its hidden features are stored and multiplied in that; weights, biases, batch moments
and the sums of a product stay float32.

Receives low-resolution feature maps from `models/hdrnet.py`.
Hands feature maps of the next layer to `models/hdrnet.py`.
"""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

PRECISION = lax.Precision.HIGHEST
BATCH_NORM_EPSILON = 1e-3
BATCH_NORM_DECAY = 0.999


def he_truncated_normal(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32):
    """Draws weights from a normal of std sqrt(1.3 * 2 / fan_in), cut at two of these.

    Args:
      key: random key.
      shape: kernel shape, outputs last; every other axis counts as fan-in.
      dtype: of the result.

    Returns:
      Array of `shape`.

    Reference: He et al. 2015, eq. 10; 1.3 makes up for the variance that the cut removes.
    """
    deviation = math.sqrt(1.3 * 2.0 / math.prod(shape[:-1]))
    return deviation * jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype)


def across_replicas(value, axis_name: str | None):
    """Averages over the devices of a pmap axis; the value itself where there is none."""
    return value if axis_name is None else lax.pmean(value, axis_name)


class BatchNorm(nn.Module):
    """Batch norm without gain: y = (x - mean) / sqrt(variance + 1e-3) + beta.

    The caller passes a function for the batch moments, since the guide network knows those of its
    hidden layer without computing it. Moving values start at 0 and 1 and follow .999 * old + .001 *
    batch, with the biased variance and no start-up correction, as in the original.
    """

    features: int

    @nn.compact
    def __call__(self, moments: Callable[[], tuple[jax.Array, jax.Array]], *, train: bool):
        shape = (self.features,)
        beta = self.param("beta", nn.initializers.zeros, shape)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        variance = self.variable("batch_stats", "variance", jnp.ones, shape)
        if not train:
            return mean.value, lax.rsqrt(variance.value + BATCH_NORM_EPSILON), beta
        batch_mean, batch_variance = moments()
        if not self.is_initializing():
            keep, take = BATCH_NORM_DECAY, 1 - BATCH_NORM_DECAY
            mean.value = keep * mean.value + take * lax.stop_gradient(batch_mean)
            variance.value = keep * variance.value + take * lax.stop_gradient(batch_variance)
        return batch_mean, lax.rsqrt(batch_variance + BATCH_NORM_EPSILON), beta


class Linear(nn.Module):
    """Convolution, or dense (`kernel_size` 0), then batch norm or bias, then ReLU or nothing.

    Attributes:
      features: output channels.
      kernel_size: side of the square kernel; 0 for a dense layer on `[b, c]`.
      stride: step of the convolution on both axes.
      batch_norm: normalise over every axis but the last; replaces the bias.
      use_bias: add a bias where there is no batch norm.
      activate: end in a ReLU.
      axis_name: pmap axis whose devices share the batch statistics.
      dtype: of what is multiplied and of the result; the parameters are float32.
      kernel_init: weights.
      bias_init: bias.
    """

    features: int
    kernel_size: int = 3
    stride: int = 1
    batch_norm: bool = False
    use_bias: bool = True
    activate: bool = True
    axis_name: str | None = None
    dtype: str = "float32"
    kernel_init: Callable = he_truncated_normal
    bias_init: Callable = nn.initializers.zeros

    @nn.compact
    def __call__(self, x, *, train: bool = False):
        y = self._product(x.astype(self.dtype)).astype(jnp.float32)
        if self.batch_norm:
            norm = BatchNorm(self.features, name="batch_norm")
            mean, scale, beta = norm(lambda: self._moments(y), train=train)
            y = (y - _last(mean, y)) * _last(scale, y) + _last(beta, y)
        elif self.use_bias:
            y = y + _last(self.param("bias", self.bias_init, (self.features,)), y)
        return (nn.relu(y) if self.activate else y).astype(self.dtype)

    def _product(self, x):
        side = (self.kernel_size,) * 2 if self.kernel_size else ()
        kernel = self.param("kernel", self.kernel_init, (*side, x.shape[-1], self.features))
        kernel = kernel.astype(self.dtype)
        precision = PRECISION if self.dtype == "float32" else None
        if not self.kernel_size:
            return jnp.dot(x, kernel, precision=precision)
        return lax.conv_general_dilated(
            x,
            kernel,
            (self.stride, self.stride),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=precision,
        )

    def _moments(self, y):
        axes = tuple(range(y.ndim - 1))
        mean = across_replicas(y.mean(axes), self.axis_name)
        variance = across_replicas(jnp.square(y - _last(mean, y)).mean(axes), self.axis_name)
        return mean, variance


def _last(vector, like):
    """Gives a vector the rank of `like`, so that it meets the last axis."""
    return vector.reshape((1,) * (like.ndim - 1) + vector.shape)

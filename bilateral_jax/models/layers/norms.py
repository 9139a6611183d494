"""Normalisation layers: batch norm of a batch, instance and adaptive norm of one image each."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

EPSILON = 1e-3
BATCH_NORM_DECAY = 0.999


class Moments(NamedTuple):
    """Mean and biased variance of every channel of an image: `[b, 1, 1, c]` each."""

    mean: jax.Array
    variance: jax.Array


def moments(x) -> Moments:
    """Computes mean and variance over an image's pixels.

    Args:
      x: `[b, h, w, c]`.

    Returns:
      `Moments`, `[b, 1, 1, c]` each.
    """
    mean = x.mean((1, 2), keepdims=True)
    return Moments(mean, jnp.square(x - mean).mean((1, 2), keepdims=True))


def across_replicas(value, axis_name: str | None):
    """Averages over the devices of a pmap axis.

    Args:
      value: array.
      axis_name: the axis; None leaves the value as it is.
    """
    return value if axis_name is None else lax.pmean(value, axis_name)


class BatchNorm(nn.Module):
    """Batch norm without gain: y = (x - mean) / sqrt(variance + 1e-3) + beta.

    The caller passes a function for the batch moments, since the guide network knows those of its
    hidden layer without computing it. Moving values start at 0 and 1 and follow .999 * old + .001 *
    batch, with the biased variance and no start-up correction, as in the original HDRNet.
    """

    features: int

    @nn.compact
    def __call__(self, moments: Callable[[], tuple[jax.Array, jax.Array]], *, train: bool):
        shape = (self.features,)
        beta = self.param("beta", nn.initializers.zeros, shape)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        variance = self.variable("batch_stats", "variance", jnp.ones, shape)
        if not train:
            return mean.value, lax.rsqrt(variance.value + EPSILON), beta
        batch_mean, batch_variance = moments()
        if not self.is_initializing():
            keep, take = BATCH_NORM_DECAY, 1 - BATCH_NORM_DECAY
            mean.value = keep * mean.value + take * lax.stop_gradient(batch_mean)
            variance.value = keep * variance.value + take * lax.stop_gradient(batch_variance)
        return batch_mean, lax.rsqrt(batch_variance + EPSILON), beta


class InstanceNorm(nn.Module):
    """Instance norm: (x - mean) / sqrt(variance + epsilon), then a gain and a shift per channel.

    Attributes:
      epsilon: 1e-3, or 1e-5 in networks trained with PyTorch.
      scale_init: initial gains.
      affine: False leaves gain and shift out.
    """

    epsilon: float = EPSILON
    scale_init: Callable = nn.initializers.ones
    affine: bool = True

    @nn.compact
    def __call__(self, x, moments: Moments):
        if not self.affine:
            return (x - moments.mean) * lax.rsqrt(moments.variance + self.epsilon)
        shape = (x.shape[-1],)
        scale = self.param("scale", self.scale_init, shape)
        shift = self.param("shift", nn.initializers.zeros, shape)
        scale, shift = (vector.reshape(1, 1, 1, -1) for vector in (scale, shift))
        gain = scale * lax.rsqrt(moments.variance + self.epsilon)
        return (x - moments.mean) * gain + shift


class AdaptiveNorm(nn.Module):
    """Adaptive norm: `a * x + b * normalised(x)`, a and b learned, a = 1 and b = 0 at the start.

    The normalised part has a shift per channel and no gain.

    Reference: Chen, Xu and Koltun 2017, section 3.
    """

    @nn.compact
    def __call__(self, x, moments: Moments):
        shift = self.param("shift", nn.initializers.zeros, (x.shape[-1],))
        kept = self.param("kept", nn.initializers.ones, ())
        normalised = self.param("normalised", nn.initializers.zeros, ())
        scale = lax.rsqrt(moments.variance + EPSILON)
        shift = shift.reshape(1, 1, 1, -1)
        return kept * x + normalised * ((x - moments.mean) * scale + shift)

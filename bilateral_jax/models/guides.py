"""The two learned guide maps of HDRNet: one number in [0, 1] for every full-resolution pixel.

Both are pointwise functions of a pixel's colour with about a hundred parameters. They are written
over the three colour planes, one pixel plane at a time: the compiler then fuses the whole guide
into a single pass over the photo and no 16-channel picture is ever stored.

Receives full-resolution images from `models/hdrnet.py`.
Hands guides to `models/hdrnet.py`, which slices with them.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from bilateral_jax.models import layers

KNOTS = 16


def colour_matrix_init(key: jax.Array, shape: tuple[int, ...], dtype=jnp.float32):
    """Draws the initial colour matrix: the identity plus one number of N(0, 1e-4) on all nine."""
    return jnp.eye(*shape, dtype=dtype) + 1e-4 * jax.random.normal(key, dtype=dtype)


def knots_init(key: jax.Array, shape: tuple[int, ...], dtype=jnp.float32):
    """Places the knots of every channel's curve evenly in [0, 1), the first at 0."""
    del key
    return jnp.broadcast_to(jnp.arange(shape[1], dtype=dtype)[None] / shape[1], shape)


def identity_slopes_init(key: jax.Array, shape: tuple[int, ...], dtype=jnp.float32):
    """Gives the first ramp slope 1 and the others 0: the identity for values >= 0."""
    del key
    return jnp.zeros(shape, dtype).at[:, 0].set(1)


class CurvesGuide(nn.Module):
    """Colour matrix, a curve of 16 ramps per channel, weighted sum, clip (112 parameters).

    Reference: Gharbi et al. 2017, section 3.4.1, eq. 6-7.
    """

    @nn.compact
    def __call__(self, image, *, train: bool = False):
        del train  # has no batch statistics
        matrix = self.param("ccm", colour_matrix_init, (3, 3))
        bias = self.param("ccm_bias", nn.initializers.zeros, (3,))
        shifts = self.param("shifts", knots_init, (3, KNOTS))
        slopes = self.param("slopes", identity_slopes_init, (3, KNOTS))
        mix = self.param("mix", nn.initializers.constant(1 / 3), (3,))
        mix_bias = self.param("mix_bias", nn.initializers.zeros, ())
        planes = [image[..., c] for c in range(3)]
        guide = mix_bias
        for c in range(3):
            value = sum(planes[d] * matrix[d, c] for d in range(3)) + bias[c]
            ramps = (slopes[c, k] * nn.relu(value - shifts[c, k]) for k in range(KNOTS))
            guide = guide + mix[c] * sum(ramps)
        # `jnp.clip` halves the gradient of a value exactly at a bound (a black pixel sits there at
        # the start).
        return jnp.where(guide < 0, 0.0, jnp.where(guide > 1, 1.0, guide))


class PointwiseGuide(nn.Module):
    """Two pointwise layers, 3 -> `complexity` (batch norm, ReLU) -> 1 (sigmoid).

    Batch norm is on whatever the rest of the network does, as in the original. Its batch moments
    follow from the mean and covariance of the colours, because the first layer is linear: m = W'
    mean, v = diag(W' cov W). So training needs no pass over the hidden layer, and at inference the
    norm folds into three weights and an offset.

    Attributes:
      complexity: hidden width.
      axis_name: pmap axis whose devices share the batch statistics.
    """

    complexity: int = 16
    axis_name: str | None = None

    @nn.compact
    def __call__(self, image, *, train: bool = False):
        hidden = self.param("hidden", layers.he_truncated_normal, (3, self.complexity))
        out = self.param("out", layers.he_truncated_normal, (self.complexity, 1))[:, 0]
        bias = self.param("bias", nn.initializers.zeros, ())
        norm = layers.BatchNorm(self.complexity, name="batch_norm")
        mean, scale, beta = norm(lambda: self._moments(image, hidden), train=train)
        planes = [image[..., c] for c in range(3)]
        total = bias
        for k in range(self.complexity):
            weights = hidden[:, k] * scale[k]
            offset = beta[k] - mean[k] * scale[k]
            value = sum(planes[c] * weights[c] for c in range(3)) + offset
            total = total + out[k] * nn.relu(value)
        return nn.sigmoid(total)

    def _moments(self, image, hidden):
        colours = image.reshape(-1, 3)
        mean = layers.across_replicas(colours.mean(0), self.axis_name)
        centred = colours - mean[None]
        covariance = jnp.einsum("pc,pd->cd", centred, centred, precision=lax.Precision.HIGHEST)
        covariance = layers.across_replicas(covariance / len(colours), self.axis_name)
        product = jnp.dot(covariance, hidden, precision=lax.Precision.HIGHEST)
        return jnp.dot(mean, hidden, precision=lax.Precision.HIGHEST), (hidden * product).sum(0)

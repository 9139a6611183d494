"""The two learned guides of HDRNet: one value in [0, 1] for every full-resolution pixel.

Both are pointwise functions of a pixel's colour with about a hundred parameters. The functions are
those of `ops/guides.py`, so that a kernel may compute a guide where it slices; the parameters are
here: `parameters()` returns them, calling computes the guide.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from bilateral_jax.models.layers import convolutions, norms
from bilateral_jax.ops import guides

KNOTS = 16


def colour_matrix_init(key: jax.Array, shape: tuple[int, ...], dtype=jnp.float32):
    """Draws the initial colour matrix: the identity plus one number of N(0, 1e-4) on all nine."""
    return jnp.eye(*shape, dtype=dtype) + 1e-4 * jax.random.normal(key, dtype=dtype)


def knots_init(key: jax.Array, shape: tuple[int, ...], dtype=jnp.float32):
    """Places the knots of every channel's curve evenly in [0, 1), the first at 0."""
    del key
    return jnp.broadcast_to(jnp.arange(shape[1], dtype=dtype)[None] / shape[1], shape)


def identity_slopes_init(key: jax.Array, shape: tuple[int, ...], dtype=jnp.float32):
    """Returns the first ramp slope 1 and the others 0: the identity for values >= 0."""
    del key
    return jnp.zeros(shape, dtype).at[:, 0].set(1)


class CurvesGuide(nn.Module):
    """Colour matrix, a curve of 16 ramps per channel, weighted sum, clip (112 parameters).

    Reference: Gharbi et al. 2017, section 3.4.1, eq. 6-7.
    """

    kind = "curves"  # of `ops/guides.py`; not a field

    def setup(self):
        self.ccm = self.param("ccm", colour_matrix_init, (3, 3))
        self.ccm_bias = self.param("ccm_bias", nn.initializers.zeros, (3,))
        self.shifts = self.param("shifts", knots_init, (3, KNOTS))
        self.slopes = self.param("slopes", identity_slopes_init, (3, KNOTS))
        self.mix = self.param("mix", nn.initializers.constant(1 / 3), (3,))
        self.mix_bias = self.param("mix_bias", nn.initializers.zeros, ())

    def parameters(self, image, *, train: bool = False):
        """The arguments of `ops/guides.py`'s `curves`."""
        del image, train  # has no batch statistics
        names = ("ccm", "ccm_bias", "shifts", "slopes", "mix", "mix_bias")
        return {name: getattr(self, name) for name in names}

    def __call__(self, image, *, train: bool = False):
        return guides.curves(image, **self.parameters(image, train=train))


class PointwiseGuide(nn.Module):
    """Two pointwise layers, 3 -> `complexity` (batch norm, ReLU) -> 1 (sigmoid).

    Batch norm is on whatever the rest of the network does, as in the original. Its batch moments
    follow from the mean and covariance of the colours, because the first layer is linear: m = W'
    mean, v = diag(W' cov W). So training needs no pass over the hidden layer, and the norm always
    folds into three weights and an offset.

    Attributes:
      complexity: hidden width.
      axis_name: pmap axis whose devices share the batch statistics.
    """

    complexity: int = 16
    axis_name: str | None = None

    kind = "pointwise"  # of `ops/guides.py`; not a field

    def setup(self):
        self.hidden = self.param("hidden", convolutions.he_truncated_normal, (3, self.complexity))
        self.out = self.param("out", convolutions.he_truncated_normal, (self.complexity, 1))
        self.bias = self.param("bias", nn.initializers.zeros, ())
        self.batch_norm = norms.BatchNorm(self.complexity)

    def parameters(self, image, *, train: bool = False):
        """The arguments of `ops/guides.py`'s `pointwise`, with the norm folded in."""
        mean, scale, beta = self.batch_norm(lambda: self._moments(image, self.hidden), train=train)
        return {
            "weights": self.hidden * scale[None],
            "offsets": beta - mean * scale,
            "out": self.out[:, 0],
            "bias": self.bias,
        }

    def __call__(self, image, *, train: bool = False):
        return guides.pointwise(image, **self.parameters(image, train=train))

    def _moments(self, image, hidden):
        colours = image.reshape(-1, 3)
        mean = norms.across_replicas(colours.mean(0), self.axis_name)
        centred = colours - mean[None]
        covariance = jnp.einsum("pc,pd->cd", centred, centred, precision=lax.Precision.HIGHEST)
        covariance = norms.across_replicas(covariance / len(colours), self.axis_name)
        product = jnp.dot(covariance, hidden, precision=lax.Precision.HIGHEST)
        return jnp.dot(mean, hidden, precision=lax.Precision.HIGHEST), (hidden * product).sum(0)

"""Features of a whole image, and tables that are combined with weights predicted from them.

Reference: Zeng, Cai, Li, Cao and Zhang 2020, "Learning image-adaptive 3D lookup tables", for the
convolutions; Yang et al. 2022, "SepLUT", Kim and Cho 2024, "Image-adaptive 3D lookup tables for
real-time image enhancement with bilateral grids", and their published code for the pooling.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from bilateral_jax.models.layers import convolutions, norms
from bilateral_jax.ops import tables

SIDE = 256  # of the low-res input
CONVOLUTIONS = 5
_EPSILON = 1e-5  # PyTorch's
# Means over windows of the 8 x 8 positions that are left: (side, step); two per axis in both.
POOLINGS = {"overlapping": (5, 2), "quarters": (4, 4)}


def _about_one(key, shape, dtype=jnp.float32):
    return 1.0 + 0.02 * jax.random.normal(key, shape, dtype)


def reduce(
    x,
    *,
    width: int,
    normalised: int,
    bias_init: Callable[[int], Any] | None = None,
):
    """Applies five convolutions of stride 2, 3 x 3 with one zero on every side.

    A leaky ReLU comes after each, then instance norm after the first `normalised`. For the compact
    method of a module, in which the layers are called `conv_0` to `conv_4` and `norm_0` ....

    Args:
      x: `[b, 32 * n, 32 * n, c]`.
      width: channels of the first; the others have 2, 4, 8 and 8 times as many.
      normalised: number of norms.
      bias_init: fan-in to an initialiser of biases; None for zeros.

    Returns:
      `[b, n, n, 8 * width]`.
    """
    for i in range(CONVOLUTIONS):
        initial = nn.initializers.zeros if bias_init is None else bias_init(9 * x.shape[-1])
        x = convolutions.Linear(
            width * 2 ** min(i, 3),
            stride=2,
            padding=((1, 1), (1, 1)),
            activate=False,
            kernel_init=nn.initializers.xavier_normal(),
            bias_init=initial,
            name=f"conv_{i}",
        )(x)
        x = convolutions.leaky_relu(x)
        if i < normalised:
            norm = norms.InstanceNorm(_EPSILON, _about_one, name=f"norm_{i}")
            x = norm(x, norms.moments(x))
    return x


class ImageFeatures(nn.Module):
    """The convolutions of `reduce`, instance norm after all but the last, and means of 2 x 2 parts.

    Attributes:
      width: channels of the first; the others have 2, 4, 8 and 8 times as many.
      pooling: of the last features to 2 x 2: "overlapping" windows of 5 x 5, or "quarters".
    """

    width: int = 8
    pooling: str = "overlapping"

    @nn.compact
    def __call__(self, lowres, dropout_key: Any = None):
        """Computes the features `[b, 32 * width]` of low-res inputs `[b, 256, 256, 3]`.

        Args:
          lowres: the low-res inputs.
          dropout_key: random key: half of the last convolution's values are dropped, as in the
            original's training. None: none are.
        """
        x = reduce(lowres, width=self.width, normalised=CONVOLUTIONS - 1)
        if dropout_key is not None:
            x = jnp.where(jax.random.bernoulli(dropout_key, 0.5, x.shape), 2.0 * x, 0.0)
        side, step = POOLINGS[self.pooling]
        pooled = [
            [x[:, i : i + side, j : j + side].mean((1, 2)) for j in (0, step)] for i in (0, step)
        ]
        # Channels before positions, as the published weights count them.
        return jnp.stack([*pooled[0], *pooled[1]], axis=-1).reshape(x.shape[0], -1)


class BasisTables(nn.Module):
    """A weighted sum of learned arrays; the weights are predicted from features.

    Attributes:
      ranks: number of arrays.
      size: of an array.
      start: function that returns the first array at the start, `[size]`; the others start at 0,
        and the weights about 1.
      offset: a constant array beside the weighted ones.
    """

    ranks: int
    size: int
    start: Callable[[], jax.Array]
    offset: bool = True

    @nn.compact
    def __call__(self, features):
        """Sums for features `[b, n]`: (`[b, size]`, the weights `[b, ranks]`)."""
        weights = convolutions.Linear(
            self.ranks,
            0,
            activate=False,
            kernel_init=convolutions.pytorch_uniform,
            bias_init=nn.initializers.ones,
            name="weights",
        )(features)

        def first(key, shape, dtype=jnp.float32):
            del key
            return jnp.zeros(shape, dtype).at[0].set(self.start().astype(dtype))

        arrays = convolutions.Linear(
            self.size,
            0,
            activate=False,
            use_bias=self.offset,
            kernel_init=first,
            name="arrays",
        )
        return arrays(weights), weights


def identity_table(nodes: int) -> jax.Array:
    """Makes the identity of a colour table in the originals' order, the inverse of `as_table`.

    Args:
      nodes: per axis.

    Returns:
      `[3 * nodes ** 3]`: output channel, blue, green, red.
    """
    return tables.identity_table(nodes).transpose(3, 2, 1, 0).reshape(-1)


def as_table(values, nodes: int):
    """Reshapes colour tables from the originals' order to that of `tables.table_lookup`.

    Args:
      values: `[b, 3 * nodes ** 3]`: output channel, blue, green, red.
      nodes: per axis.

    Returns:
      `[b, nodes, nodes, nodes, 3]`: red, green, blue, output channel.
    """
    return values.reshape(-1, 3, nodes, nodes, nodes).transpose(0, 4, 3, 2, 1)

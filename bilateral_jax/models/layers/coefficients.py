"""The coefficient network of HDRNet: low-res input to a bilateral grid of colour matrices."""

import math

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from bilateral_jax.models.layers import convolutions

N_IN = 4  # input colours and the constant 1


class CoefficientNetwork(nn.Module):
    """Predicts the grid of colour matrices from the low-res input (481,968 parameters).

    With `dtype` "bfloat16" the last layer still works in float32: the 8-bit mantissa would move the
    entries of a matrix by up to 1/512 of their size, half a step of an 8-bit image.

    Attributes:
      global_depth: convolutions at each of the two sizes of the global path, the first of which
        halves the size.
      local_depth: linear convolutions of the local path, behind its first.
      start: rows `[n_out][4]` of the matrix that all cells start from (almost); None for a random
        start.
      ...: the others as in `models/hdrnet.py`.

    Reference: Gharbi et al. 2017, section 3.1 and figure 2.
    """

    n_out: int
    net_input_size: int
    spatial_bin: int
    luma_bins: int
    channel_multiplier: int
    batch_norm: bool
    start: tuple | None
    dtype: str
    axis_name: str | None
    global_depth: int = 1
    local_depth: int = 1

    @nn.compact
    def __call__(self, image, *, train: bool = False):
        def layer(name, features, batch_norm=self.batch_norm, **options):
            options = {"dtype": self.dtype, **options, "batch_norm": batch_norm, "name": name}
            return convolutions.Linear(features, axis_name=self.axis_name, **options)

        width = self.channel_multiplier * self.luma_bins
        x = image
        for i in range(int(math.log2(self.net_input_size / self.spatial_bin))):
            norm = self.batch_norm and i > 0
            x = layer(f"splat_conv{i + 1}", 2**i * width, norm, stride=2)(x, train=train)
        summary = x
        for i in range(2 * self.global_depth):
            stride = 1 if i % self.global_depth else 2
            summary = layer(f"global_conv{i + 1}", 8 * width, stride=stride)(summary, train=train)
        summary = summary.reshape(summary.shape[0], -1)
        summary = layer("global_fc1", 32 * width, kernel_size=0)(summary, train=train)
        summary = layer("global_fc2", 16 * width, kernel_size=0)(summary, train=train)
        summary = layer("global_fc3", 8 * width, False, kernel_size=0, activate=False)(summary)
        x = layer("local_conv1", 8 * width)(x, train=train)
        linear = {"use_bias": False, "activate": False}
        for i in range(self.local_depth):
            x = layer(f"local_conv{i + 2}", 8 * width, False, **linear)(x)
        x = nn.relu(x.astype(jnp.float32) + summary[:, None, None, :].astype(jnp.float32))
        last = {"kernel_size": 1, "activate": False, "dtype": "float32"}
        if self.start is not None:
            last |= {"kernel_init": _small_kernel, "bias_init": self._repeated_start}
        channels = self.luma_bins * self.n_out * N_IN
        x = layer("prediction", channels, False, **last)(x)
        x = x.reshape(*x.shape[:3], N_IN, self.n_out, self.luma_bins)
        return x.transpose(0, 1, 2, 5, 4, 3)

    def _repeated_start(self, key, shape, dtype=jnp.float32):
        """Repeats the starting matrix at every depth."""
        del key
        matrix = np.asarray(self.start, np.float64).T[..., None]
        matrix = np.broadcast_to(matrix, (N_IN, self.n_out, self.luma_bins))
        return jnp.asarray(matrix.reshape(shape), dtype)


def _small_kernel(key, shape, dtype=jnp.float32):
    return 0.01 * convolutions.he_truncated_normal(key, shape, dtype)

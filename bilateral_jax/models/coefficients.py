"""The coefficient network of HDRNet: a low-resolution photo to a bilateral grid of colour matrices.

Receives low-resolution images from `models/hdrnet.py`.
Hands grids back.
"""

import math

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from bilateral_jax.models import layers

N_IN = 4  # input colours and the constant 1


class CoefficientNetwork(nn.Module):
    """Predicts the grid of colour matrices from the low-resolution image (481,968 parameters).

    With `dtype` "bfloat16" the last layer still works in float32: the 8-bit mantissa would move the
    entries of a matrix by up to 1/512 of their size, half a step of an 8-bit picture.

    Reference: Gharbi et al. 2017, section 3.1 and figure 2.
    """

    n_out: int
    net_input_size: int
    spatial_bin: int
    luma_bins: int
    channel_multiplier: int
    batch_norm: bool
    identity_start: bool
    dtype: str
    axis_name: str | None

    @nn.compact
    def __call__(self, image, *, train: bool = False):
        def layer(name, features, batch_norm=self.batch_norm, **options):
            options = {"dtype": self.dtype, **options, "batch_norm": batch_norm, "name": name}
            return layers.Linear(features, axis_name=self.axis_name, **options)

        width = self.channel_multiplier * self.luma_bins
        x = image
        for i in range(int(math.log2(self.net_input_size / self.spatial_bin))):
            norm = self.batch_norm and i > 0
            x = layer(f"splat_conv{i + 1}", 2**i * width, norm, stride=2)(x, train=train)
        scene = layer("global_conv1", 8 * width, stride=2)(x, train=train)
        scene = layer("global_conv2", 8 * width, stride=2)(scene, train=train)
        scene = scene.reshape(scene.shape[0], -1)
        scene = layer("global_fc1", 32 * width, kernel_size=0)(scene, train=train)
        scene = layer("global_fc2", 16 * width, kernel_size=0)(scene, train=train)
        scene = layer("global_fc3", 8 * width, False, kernel_size=0, activate=False)(scene)
        x = layer("local_conv1", 8 * width)(x, train=train)
        x = layer("local_conv2", 8 * width, False, use_bias=False, activate=False)(x)
        x = nn.relu(x.astype(jnp.float32) + scene[:, None, None, :].astype(jnp.float32))
        last = {"kernel_size": 1, "activate": False, "dtype": "float32"}
        if self.identity_start:
            last |= {"kernel_init": _small, "bias_init": self._identity}
        channels = self.luma_bins * self.n_out * N_IN
        x = layer("prediction", channels, False, **last)(x)
        x = x.reshape(*x.shape[:3], N_IN, self.n_out, self.luma_bins)
        return x.transpose(0, 1, 2, 5, 4, 3)

    def _identity(self, key, shape, dtype=jnp.float32):
        """Places the identity in the rows of the full-resolution level, zero in the others."""
        del key
        identity = np.zeros((N_IN, self.n_out, self.luma_bins))
        for c in range(3):
            identity[c, self.n_out - 3 + c] = 1
        return jnp.asarray(identity.reshape(shape), dtype)


def _small(key, shape, dtype=jnp.float32):
    return 0.01 * layers.he_truncated_normal(key, shape, dtype)

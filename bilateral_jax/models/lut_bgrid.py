"""LUTwithBGrid: bilateral grids, one channel each as their guide, then a 3D colour table.

Grids and table are sums of learned ones, weighted by the features of a low-res input.

Reference: Kim and Cho 2024, "Image-adaptive 3D lookup tables for real-time image enhancement with
bilateral grids"; published code and weights.
"""

import functools
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from bilateral_jax.models.layers import adaptive_transform, convolutions, image_features
from bilateral_jax.ops import tables


class LUTwithBGrid(adaptive_transform.AdaptiveTransform):
    """Slices and colours through a 1 x 1 layer, then through a table.

    Attributes:
      width: channels of the first convolution.
      table_nodes: nodes of the table per axis.
      table_ranks: learned tables.
      grid_nodes: nodes of the grids per axis.
      grid_ranks: learned grids per slice.
      slices: values sliced per colour channel.
      interpolation: of the table, "tetrahedral" or "trilinear".
      positions: where a pixel lies in the grids: "align_corners", or "integer_division" as the
        published kernels have it, with which the grids act as curves; the published weights need
        it.
      identity_start: start with the identity in the 1 x 1 layer instead of random colours.
    """

    width: int = 8
    table_nodes: int = 17
    table_ranks: int = 8
    grid_nodes: int = 17
    grid_ranks: int = 8
    slices: int = 2
    interpolation: str = "tetrahedral"
    positions: str = "align_corners"
    identity_start: bool = False

    def __post_init__(self):
        super().__post_init__()
        adaptive_transform.check_positions(self.positions)
        tables.check_interpolation(self.interpolation)

    def setup(self):
        self.features = image_features.ImageFeatures(self.width)
        identity = functools.partial(image_features.identity_table, self.table_nodes)
        self.table = image_features.BasisTables(self.table_ranks, 3 * self.table_nodes**3, identity)
        size = 3 * self.slices * self.grid_nodes**3
        self.grids = image_features.BasisTables(self.grid_ranks, size, self._first_grids)
        self.mix = convolutions.Linear(3, 0, activate=False, kernel_init=self._mix_init)

    def coefficients(self, lowres, *, train: bool = False, dropout_key: Any = None):
        """Predicts the transform.

        Args:
          lowres: `[b, 256, 256, 3]` in [0, 1].
          train: not used.
          dropout_key: random key of the dropout in training; None for none.

        Returns:
          `{"grids": [b, 3, gh, gw, gd, slices], "table": [b, r, g, b, 3], "table_weights":
          [b, ranks]}`.
        """
        del train
        features = self.features(lowres, dropout_key)
        table, weights = self.table(features)
        grids, _ = self.grids(features)
        grids = grids.reshape(-1, 3, self.slices, *(self.grid_nodes,) * 3)
        return {
            "grids": grids.transpose(0, 1, 4, 5, 3, 2),
            "table": image_features.as_table(table, self.table_nodes),
            "table_weights": weights,
        }

    def render(self, coefficients, image, *, window: Any = None, train: bool = False):
        """Applies a transform to images `[b, h, w, 3]`; see `__call__`. No value is negative."""
        del train
        slices = adaptive_transform.slice_channels(
            coefficients["grids"], image, window=window, positions=self.positions
        )
        stacked = jnp.concatenate([slices.reshape(*image.shape[:-1], -1), image], axis=-1)
        colors = jnp.clip(self.mix(stacked), 0.0, 1.0)
        out = tables.table_lookup(coefficients["table"], colors, interpolation=self.interpolation)
        return jnp.maximum(out, 0.0)

    def _first_grids(self):
        """Of every channel the first slice is the channel, the others are 0."""
        ramp = jnp.linspace(0, 1, self.grid_nodes).reshape(1, -1, 1, 1)
        grids = jnp.zeros((3, self.slices, *(self.grid_nodes,) * 3))
        return grids.at[:, 0].set(jnp.broadcast_to(ramp, grids[:, 0].shape)).reshape(-1)

    def _mix_init(self, key, shape, dtype=jnp.float32):
        if not self.identity_start:
            return nn.initializers.xavier_normal()(key, shape, dtype)
        kernel = np.zeros(shape)
        kernel[: 3 * self.slices : self.slices] = np.eye(3)
        return jnp.asarray(kernel, dtype)

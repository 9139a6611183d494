"""SepLUT: a curve per colour channel, then a small 3D colour table, both predicted.

Reference: Yang, Jin, Xu, Zhang, Chen and Liu 2022, "SepLUT: separable image-adaptive lookup tables
for real-time image enhancement"; published code and weights.
"""

import functools
from typing import Any

import flax.linen as nn

from bilateral_jax.models.layers import adaptive_transform, convolutions, image_features
from bilateral_jax.ops import tables


class SepLUT(adaptive_transform.AdaptiveTransform):
    """Curves with values in (0, 1), then a table, trilinear.

    Attributes:
      width: channels of the first convolution.
      curve_nodes: nodes of a curve.
      table_nodes: nodes of the table per axis.
      table_ranks: learned tables.
    """

    width: int = 8
    curve_nodes: int = 17
    table_nodes: int = 17
    table_ranks: int = 3

    def setup(self):
        self.features = image_features.ImageFeatures(self.width, "quarters")
        identity = functools.partial(image_features.identity_table, self.table_nodes)
        self.table = image_features.BasisTables(
            self.table_ranks, 3 * self.table_nodes**3, identity, offset=False
        )
        self.curves = convolutions.Linear(
            3 * self.curve_nodes, 0, activate=False, kernel_init=convolutions.pytorch_uniform
        )

    def coefficients(self, lowres, *, train: bool = False, dropout_key: Any = None):
        """Predicts the transform.

        Args:
          lowres: `[b, 256, 256, 3]` in [0, 1].
          train: not used.
          dropout_key: random key of the dropout in training; None for none.

        Returns:
          `{"curves": [b, 3, nodes], "table": [b, r, g, b, 3], "table_weights": [b, ranks]}`.
        """
        del train
        features = self.features(lowres, dropout_key)
        table, weights = self.table(features)
        curves = nn.sigmoid(self.curves(features))
        return {
            "curves": curves.reshape(-1, 3, self.curve_nodes),
            "table": image_features.as_table(table, self.table_nodes),
            "table_weights": weights,
        }

    def render(self, coefficients, image, *, window: Any = None, train: bool = False):
        """Applies a transform to images `[b, h, w, 3]`, whatever their window; unbounded."""
        del window, train
        curves = coefficients["curves"]
        grids = curves.reshape(*curves.shape[:2], 1, 1, curves.shape[-1], 1)
        colors = adaptive_transform.slice_channels(grids, image)[..., 0]
        return tables.table_lookup(coefficients["table"], colors)

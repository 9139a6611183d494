"""SVDLUT: slices of bilateral grids plus lookups in a 3D colour table, all sums of 2D planes.

Both are taken at the input's colours.

A trilinear interpolation of a sum of planes is the sum of the planes' bilinear interpolations, so
the planes of a channel are added up to one bilateral grid, and those of the colours to one table:
`slice` and `table_lookup` do the rest. The colour planes are products of few singular vectors.

Reference: Kim, Lee and Cho 2025, "Lightweight and fast real-time image enhancement via
decomposition of the spatial-aware lookup tables"; published code and weights.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from bilateral_jax.models.layers import adaptive_transform, convolutions, image_features
from bilateral_jax.ops import tables


class SVDLUT(adaptive_transform.AdaptiveTransform):
    """The slice of a channel's grid plus the table's value, at least 0.

    The start is the identity, half of it from the grids and half from the table. (The published
    code reads the grids' weights and offsets in another order than that in which it sets them.)

    Attributes:
      width: channels of the first convolution.
      table_nodes: nodes of the colour planes per axis.
      singular_values: of a colour plane.
      grid_nodes: nodes of the grids' planes per axis.
      grids: grids per colour channel; their sum counts.
      ranks: learned arrays of the planes, and of their weights and offsets.
      positions: where a pixel lies in the grids: "align_corners", or "integer_division" as the
        published kernels have it, with which the grids act as curves; the published weights need
        it.
    """

    width: int = 8
    table_nodes: int = 33
    singular_values: int = 8
    grid_nodes: int = 17
    grids: int = 2
    ranks: int = 8
    positions: str = "align_corners"

    def __post_init__(self):
        super().__post_init__()
        adaptive_transform.check_positions(self.positions)
        if not 1 <= self.singular_values <= self.table_nodes:
            raise ValueError(
                f"singular_values must be in [1, table_nodes = {self.table_nodes}], "
                f"got {self.singular_values}"
            )

    def setup(self):
        def tables_of(size, start):
            return image_features.BasisTables(self.ranks, size, start)

        factors = self.singular_values * (2 * self.table_nodes + 1)
        self.features = image_features.ImageFeatures(self.width)
        self.table_planes = tables_of(9 * factors, self._first_table_planes)
        self.table_mix = tables_of(12, _first_table_mix)
        self.grid_planes = tables_of(9 * self.grids * self.grid_nodes**2, self._first_grid_planes)
        self.grid_mix = tables_of(12 * self.grids, self._first_grid_mix)

    def coefficients(self, lowres, *, train: bool = False, dropout_key: Any = None):
        """Predicts the transform.

        Args:
          lowres: `[b, 256, 256, 3]` in [0, 1].
          train: not used.
          dropout_key: random key of the dropout in training; None for none.

        Returns:
          `{"grids": [b, 3, gh, gw, gd, 1], "table": [b, r, g, b, 3]}`.
        """
        del train
        features = self.features(lowres, dropout_key)
        table_planes, _ = self.table_planes(features)
        table_mix, _ = self.table_mix(features)
        grid_planes, _ = self.grid_planes(features)
        grid_mix, _ = self.grid_mix(features)
        return {
            "grids": self._grids(grid_planes, grid_mix),
            "table": self._table(table_planes, table_mix),
        }

    def render(self, coefficients, image, *, window: Any = None, train: bool = False):
        """Applies a transform to images `[b, h, w, 3]`; see `__call__`. No value is negative."""
        del train
        slices = adaptive_transform.slice_channels(
            coefficients["grids"], image, window=window, positions=self.positions
        )
        colors = tables.table_lookup(coefficients["table"], image)
        return jnp.maximum(slices[..., 0] + colors, 0.0)

    def _table(self, factors, mix):
        """Adds up the planes (red, green), (red, blue), (green, blue) of every output channel."""
        n, k = self.table_nodes, self.singular_values
        factors = factors.reshape(-1, 3, 3, 2 * n * k + k)
        left = factors[..., : n * k].reshape(-1, 3, 3, n, k)
        values = factors[..., n * k : n * k + k]
        right = factors[..., n * k + k :].reshape(-1, 3, 3, k, n)
        mix = mix.reshape(-1, 3, 4, 1, 1)
        # [b, output, plane, second colour, first colour]
        planes = mix[:, :, :3] * jnp.matmul(
            left * values[..., None, :], right, precision=convolutions.PRECISION
        )
        table = (
            planes[:, :, 0, None, :, :]  # of blue, green, red
            + planes[:, :, 1, :, None, :]
            + planes[:, :, 2, :, :, None]
            + mix[:, :, 3, None]
        )
        return table.transpose(0, 4, 3, 2, 1)

    def _grids(self, planes, mix):
        """Adds up the planes (x, y), (x, value), (y, value) of every grid of every channel."""
        n, count = self.grid_nodes, 3 * self.grids
        planes = planes.reshape(-1, count, 3, n, n)
        # Of each of the first `grids` rows: 9 weights, then 3 offsets.
        mix = mix.reshape(-1, self.grids, 12)
        weights = mix[..., :9].reshape(-1, count, 3, 1, 1)
        offsets = mix[..., 9:].reshape(-1, count, 1, 1, 1)
        planes = weights * planes
        grids = (
            planes[:, :, 0, None, :, :]  # of value, y, x
            + planes[:, :, 1, :, None, :]
            + planes[:, :, 2, :, :, None]
            + offsets
        )
        grids = grids.reshape(-1, 3, self.grids, n, n, n).sum(2)
        return grids.transpose(0, 1, 3, 4, 2)[..., None]

    def _first_table_planes(self):
        n, k = self.table_nodes, self.singular_values
        across = np.broadcast_to(np.linspace(0, 1, n), (n, n))
        none = np.zeros((n, n))
        planes = [across, across, none, across.T, none, across, none, across.T, across.T]
        left, values, right = np.linalg.svd(np.stack(planes))
        parts = [left[:, :, :k].reshape(9, -1), values[:, :k], right[:, :k].reshape(9, -1)]
        return jnp.asarray(np.concatenate(parts, axis=1).reshape(-1))

    def _first_grid_planes(self):
        n = self.grid_nodes
        up = jnp.broadcast_to(jnp.linspace(0, 1, n)[:, None], (n, n))
        return jnp.tile(jnp.stack([jnp.zeros((n, n)), up, up]).reshape(-1), 3 * self.grids)

    def _first_grid_mix(self):
        weights = jnp.array([0.0, 1, 1] * 3 + [0] * 3) / (4 * self.grids)
        return jnp.tile(weights, self.grids)


def _first_table_mix():
    return jnp.array([1.0, 1, 0, 0, 1, 0, 1, 0, 0, 1, 1, 0]) / 4

"""A fixed colour table as a network, so that a table from a file enhances photos as networks do."""

import flax.linen as nn
import jax.numpy as jnp

from bilateral_jax.models import inference_methods
from bilateral_jax.ops import table_corners, tables


class ColorTable(nn.Module):
    """One colour table, or one curve per channel, for all images.

    Attributes:
      nodes: `(n_red, n_green, n_blue)`; or `(n,)` for curves.
      domain_min: colour of the first node; darker ones clamp to it.
      domain_max: colour of the last node.
      interpolation: in the table, see `table_lookup`; curves are interpolated linearly.
    """

    nodes: tuple[int, ...] = (33, 33, 33)
    domain_min: tuple[float, ...] = (0.0, 0.0, 0.0)
    domain_max: tuple[float, ...] = (1.0, 1.0, 1.0)
    interpolation: str = "tetrahedral"

    def __post_init__(self):
        super().__post_init__()
        if len(self.nodes) not in (1, 3) or min(self.nodes) < 2:
            raise ValueError(f"nodes must be one or three ints of 2 or more, got {self.nodes!r}")
        if len(self.domain_min) != 3 or len(self.domain_max) != 3:
            raise ValueError(
                f"domain_min and domain_max must be three numbers each, got {self.domain_min!r} "
                f"and {self.domain_max!r}"
            )
        if not all(low < high for low, high in zip(self.domain_min, self.domain_max, strict=True)):
            raise ValueError(
                "domain_min must be below domain_max in every channel, got "
                f"{tuple(self.domain_min)} and {tuple(self.domain_max)}"
            )
        tables.check_interpolation(self.interpolation)

    def setup(self):
        self.values = self.param("table", self._identity)

    def _identity(self, key):
        """The initial table leaves colours inside the domain unchanged."""
        del key
        low, high = (jnp.asarray(x, jnp.float32) for x in (self.domain_min, self.domain_max))
        if len(self.nodes) == 1:
            return jnp.linspace(low, high, self.nodes[0])
        low, high = (x.reshape(1, 1, 1, 3) for x in (low, high))
        return low + tables.identity_table(self.nodes) * (high - low)

    def example_inputs(self):
        """Arguments of `__call__` of the smallest size, for initialisation."""
        return (jnp.zeros((1, 1, 1, 3)),)

    @property
    def inference_method(self):
        """By pixel, without parameters of the image."""
        return inference_methods.ByPixel(features=table_corners.FEATURES)

    def __call__(self, image):
        """Looks up the colours of images `[b, h, w, 3]`: the same shape, unbounded."""
        low, high = (
            jnp.asarray(x, jnp.float32).reshape(1, 1, 1, 3)
            for x in (self.domain_min, self.domain_max)
        )
        position = (image - low) / (high - low)
        if len(self.nodes) == 3:
            return tables.table_lookup(self.values, position, interpolation=self.interpolation)
        nodes = jnp.linspace(0, 1, self.nodes[0])
        channels = [jnp.interp(position[..., k], nodes, self.values[:, k]) for k in range(3)]
        return jnp.stack(channels, axis=-1)

    enhance = __call__

    def samples(self, image):
        """Takes no samples of an image, since the table does not depend on it."""
        del image
        return ()

    def parameters(self, samples):
        """Passes the samples on: there are no parameters."""
        return samples

    def enhance_pixels(self, colors, parameters):
        """Looks up colours `[n, 3]`: the same shape, unbounded."""
        del parameters
        return self(colors[None, None])[0, 0]

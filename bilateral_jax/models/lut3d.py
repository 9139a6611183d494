"""Image-adaptive 3D lookup tables: a colour table per image, mixed from a few that are learned.

A small convolutional network sees the image reduced to 256 x 256 and predicts one weight for each
basis table; the weighted sum of the tables is the image's own table, in which every pixel's colour
is looked up. With it comes the critic of the unpaired training.

Reference: Zeng, Cai, Li, Cao and Zhang 2020, "Learning image-adaptive 3D lookup tables for high
performance photo enhancement in real-time"; published code and weights.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from bilateral_jax import resize
from bilateral_jax.models import inference_methods
from bilateral_jax.models.layers import convolutions, image_features, reverse_mode_convolution
from bilateral_jax.ops import table_corners, tables

_STRIDES = 2**image_features.CONVOLUTIONS


def _uniform_bias(fan_in):
    """PyTorch's initial biases: uniform in +- 1 / sqrt(fan-in)."""
    bound = 1 / math.sqrt(fan_in)
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(
        key, shape, dtype, -bound, bound
    )


class _Encoder(nn.Module):
    """Five convolutions of stride 2, then one without padding: `[b, n, n, 3]` to `[b, outputs]`.

    The five are `image_features.reduce`; the last one spans the remaining n / 32 positions.
    """

    outputs: int
    width: int
    normalised: int
    dropout: float = 0.0
    last_bias: Any = None
    last_kernel: Any = None

    @nn.compact
    def __call__(self, image, *, train: bool = False):
        x = image_features.reduce(
            image,
            width=self.width,
            normalised=self.normalised,
            bias_init=_uniform_bias,
        )
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        last = convolutions.Linear(
            self.outputs,
            x.shape[1],
            padding="VALID",
            activate=False,
            kernel_init=self.last_kernel or nn.initializers.glorot_normal(),
            bias_init=self.last_bias or _uniform_bias(x.shape[1] ** 2 * x.shape[-1]),
            name="last",
        )
        return last(x)[:, 0, 0]


def _check_sizes(module, *names):
    for name in names:
        value = getattr(module, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a positive int, got {value!r}")
    if module.net_input_size % _STRIDES:
        raise ValueError(
            f"net_input_size must be a multiple of {_STRIDES}, got {module.net_input_size}"
        )


class ImageAdaptiveLUT(nn.Module):
    """The network of the paper; 593,516 parameters as published for paired training.

    The first basis table starts as the identity and the others as 0; a weight starts as 1 plus the
    output of randomly initialised layers.

    Attributes:
      tables: number of basis tables.
      nodes: of a table along each axis.
      width: channels of the first convolution.
      normalised: how many convolutions are followed by instance norm: 4 in the published paired
        training, 1 in the unpaired.
      dropout: rate before the last convolution, in training: .5 in the published paired training,
        0 in the unpaired.
      net_input_size: side of the low-res input; a multiple of 32.
      lowres_method: how it is resized, see `bilateral_jax/resize.py`.
      interpolation: in the table, see `table_lookup`.
      identity_start: start the last layer's kernel at 0, so that every weight is 1 and the output
        the input. The original starts at random: weights from -1 to 3, and darkened or negative
        images through the first thousands of steps.
    """

    tables: int = 3
    nodes: int = 33
    width: int = 16
    normalised: int = 4
    dropout: float = 0.5
    net_input_size: int = 256
    lowres_method: str = "bilinear"
    interpolation: str = "trilinear"
    identity_start: bool = False

    def __post_init__(self):
        _check_sizes(self, "tables", "nodes", "width", "net_input_size")
        if self.nodes < 2:
            raise ValueError(f"nodes must be at least 2, got {self.nodes}")
        if self.normalised not in range(image_features.CONVOLUTIONS + 1):
            most = image_features.CONVOLUTIONS
            raise ValueError(f"normalised must be an int from 0 to {most}, got {self.normalised!r}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout!r}")
        if self.lowres_method not in resize.METHODS:
            raise ValueError(
                f"lowres_method must be one of {resize.METHODS}, got {self.lowres_method!r}"
            )
        tables.check_interpolation(self.interpolation)
        super().__post_init__()

    def setup(self):
        self.classifier = _Encoder(
            self.tables,
            self.width,
            self.normalised,
            self.dropout,
            last_bias=nn.initializers.ones,
            last_kernel=nn.initializers.zeros if self.identity_start else None,
        )
        self.basis = self.param("basis", self._initial_tables)

    def _initial_tables(self, key):
        del key
        identity = tables.identity_table(self.nodes)
        return jnp.stack([identity] + [jnp.zeros_like(identity)] * (self.tables - 1))

    def example_inputs(self):
        """Arguments of `__call__` of the smallest size, for initialisation."""
        return (jnp.zeros((1, 1, 1, 3)),)

    @property
    def inference_method(self):
        """By pixel, with the image's table as parameters."""
        return inference_methods.ByPixel(features=table_corners.FEATURES)

    def __call__(self, image, *, train: bool = False):
        """Enhances whole images.

        Args:
          image: `[b, h, w, 3]`, values in [0, 1].
          train: drop features at random.

        Returns:
          `[b, h, w, 3]`, unbounded.
        """
        small = resize.resize(image, self.net_input_size, method=self.lowres_method)
        return self.render(self.table(self.weights(small, train=train)), image)

    enhance = __call__

    def weights(self, lowres, *, train: bool = False):
        """Predicts the weight of every basis table: `[b, n, n, 3]` to `[b, tables]`."""
        side = self.net_input_size
        if lowres.shape[1:] != (side, side, 3):
            raise ValueError(f"lowres must be [b, {side}, {side}, 3], got {tuple(lowres.shape)}")
        return self.classifier(lowres, train=train)

    def table(self, weights):
        """Mixes the images' tables: `[b, tables]` to `[b, nodes, nodes, nodes, 3]`."""
        return jnp.einsum("bk,krgzc->brgzc", weights, self.basis, precision=convolutions.PRECISION)

    def render(self, table, image):
        """Looks the colours `[b, h, w, 3]` of images up in their tables."""
        return tables.table_lookup(table, image, interpolation=self.interpolation)

    def samples(self, image):
        """Makes the low-res input `[1, n, n, 3]` of an image `[h, w, 3]`, in NumPy."""
        return resize.resize_pixels(image, self.net_input_size, method=self.lowres_method)[None]

    def parameters(self, samples):
        """Predicts the table of an image: `[1, n, n, 3]` to `[1, nodes, nodes, nodes, 3]`."""
        return self.table(self.weights(samples))

    def enhance_pixels(self, colors, table):
        """Enhances colours `[n, 3]` by a table `[1, nodes, nodes, nodes, 3]`."""
        return self.render(table[0], colors[None])[0]


class LUTCritic(nn.Module):
    """The discriminator of the unpaired training: the layers of the network that predicts weights.

    It sees images reduced to `net_input_size`, with instance norm behind the first convolution.

    Attributes:
      width: channels of the first convolution.
      net_input_size: side of the low-res input; a multiple of 32.
      lowres_method: how it is resized, see `bilateral_jax/resize.py`.
    """

    width: int = 16
    net_input_size: int = 256
    lowres_method: str = "bilinear"

    def __post_init__(self):
        _check_sizes(self, "width", "net_input_size")
        super().__post_init__()

    def example_inputs(self):
        """Arguments of `__call__` of the smallest size, for initialisation."""
        return (jnp.zeros((1, 1, 1, 3)),)

    @nn.compact
    @reverse_mode_convolution.reverse_mode()
    def __call__(self, image):
        """Scores images `[b, h, w, 3]` of any size: `[b]`, the larger the more like a target."""
        small = resize.resize(image, self.net_input_size, method=self.lowres_method)
        return _Encoder(1, self.width, 1, name="encoder")(small)[:, 0]

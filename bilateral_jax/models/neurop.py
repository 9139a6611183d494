"""NeurOp: three neural colour operators in sequence, each with a strength predicted from the image.

An operator maps a pixel's colour by three dense layers; its strength is added to the features of
the first. Before each operator a small convolutional encoder, shared by all, sees the image as the
operators before left it, reduced to 256 rows, and predicts the strength. A pixel's result depends
on its own colour and the three strengths only, so the network has no resolution of its own.

Reference: Wang, Li, Xu, He, Zhang, Li and Ding 2022, "Neural color operators for sequential image
retouching"; published code and weights.
"""

from typing import Any

import flax
import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import core

from bilateral_jax import pixels as pixels_lib
from bilateral_jax import resize
from bilateral_jax.models import inference_methods
from bilateral_jax.models.layers import convolutions

ROWS = 256  # of the reduced image that the encoder sees
# Columns of the reduced image: fewer than 5 leave no position to the 7 x 7 convolution. The upper
# limit, an aspect ratio of 16, bounds the memory; the original has neither.
LEAST_COLUMNS, MOST_COLUMNS = 5, 16 * ROWS
_SLOPE = 0.01  # of the operators' leaky ReLU
_INIT = convolutions.pytorch_uniform  # biases start at 0 here


def reduced_size(height: int, width: int) -> tuple[int, int]:
    """Returns the rows and columns of the reduced image that the encoder sees.

    Args:
      height: rows of the image.
      width: its columns. Both may be symbolic, in a program exported for any size.
    """
    columns = core.min_dim(ROWS * width // height, MOST_COLUMNS)
    return ROWS, core.max_dim(columns, LEAST_COLUMNS)


@flax.struct.dataclass
class Samples:
    """The pixels of an image from which its reduced copy is interpolated.

    Attributes:
      colors: `[b, 4, rows, columns, 3]`, the four pixels around each sample.
      weights: float `[4, rows, columns]` of the bilinear interpolation.
      columns: int32 scalar: the columns that are part of the reduced image; those behind are
        padding. None: all are.
    """

    colors: Any
    weights: Any
    columns: Any = None


class Operator(nn.Module):
    """Colours `[..., 3]` and strengths that broadcast against `[..., 1]` to colours `[..., 3]`."""

    width: int

    @nn.compact
    def __call__(self, colors, strength):
        def dense(features, name):
            return convolutions.Linear(features, 0, activate=False, kernel_init=_INIT, name=name)

        z = dense(self.width, "encode")(colors) + strength
        z = dense(self.width, "middle")(z)
        return dense(3, "decode")(jnp.maximum(_SLOPE * z, z))


class Encoder(nn.Module):
    """Deviation, mean and maximum of each of the features of a reduced image.

    Two convolutions of stride 2, 7 x 7 and 3 x 3, one zero on every side, each with ReLU.
    """

    width: int

    @nn.compact
    def __call__(self, image, columns=None):
        """Encodes images `[b, h, w, 3]`, of which the first `columns` count: `[b, 3 * width]`."""
        x, inside = image, _inside(image, columns)
        for i, side in enumerate((7, 3)):
            x = convolutions.Linear(
                self.width, side, 2, padding=((1, 1), (1, 1)), kernel_init=_INIT, name=f"conv_{i}"
            )(x if inside is None else jnp.where(inside, x, 0))
            columns = None if columns is None else (columns + 2 - side) // 2 + 1
            inside = _inside(x, columns)
        counted = jnp.ones_like(x) if inside is None else inside * jnp.ones_like(x)
        count = counted.sum((1, 2))
        mean = (x * counted).sum((1, 2)) / count
        squares = (counted * jnp.square(x - mean[:, None, None])).sum((1, 2))
        # As PyTorch's sample deviation; a constant feature has no gradient instead of an infinite.
        variance = squares / jnp.maximum(count - 1, 1)
        deviation = jnp.where(variance > 0, jnp.sqrt(jnp.where(variance > 0, variance, 1)), 0)
        return jnp.concatenate([deviation, mean, (x * counted).max((1, 2))], axis=-1)


class NeurOp(nn.Module):
    """Colour operators in sequence, with strengths in (-1, 1) predicted from the whole image.

    Attributes:
      operators: their names, in order: black clipping, exposure, vibrance.
      width: hidden features of an operator.
      encoder_width: features of the encoder.
    """

    operators: tuple[str, ...] = ("bc", "ex", "vb")
    width: int = 64
    encoder_width: int = 32

    def setup(self):
        self.encoder = Encoder(self.encoder_width)
        for name in self.operators:
            setattr(self, f"operator_{name}", Operator(self.width))
            predict = convolutions.Linear(1, 0, activate=False, kernel_init=_INIT)
            setattr(self, f"predict_{name}", predict)

    def example_inputs(self):
        """Arguments of `__call__` of the smallest size, for initialisation."""
        return (jnp.zeros((1, 1, 1, 3)),)

    @property
    def inference_method(self):
        """By pixel, with the strengths as parameters."""
        return inference_methods.ByPixel(features=self.width)

    def __call__(self, image):
        """Enhances whole images.

        Args:
          image: `[b, h, w, 3]` in [0, 1].

        Returns:
          `[b, h, w, 3]`, clipped to [0, 1] after the last operator only.
        """
        size = reduced_size(*image.shape[1:3])
        for name in self.operators:
            small = resize.resize(image, size, method="bilinear")
            strength = self._strength(name, small, None)
            image = self.operate(image, strength[:, None, None], name=name)
        return jnp.clip(image, 0.0, 1.0)

    enhance = __call__

    def operate(self, colors, strength, *, name: str):
        """Applies one operator.

        Args:
          colors: `[..., 3]`.
          strength: broadcasts against `[..., 1]`; 0 leaves a trained operator's colours unchanged.
          name: one of `operators`.

        Returns:
          `[..., 3]`, not clipped.
        """
        return getattr(self, f"operator_{name}")(colors, strength)

    def samples(self, image) -> Samples:
        """Takes the pixels from which the reduced image is interpolated, in NumPy.

        The operators act on these pixels before they are interpolated, as they act on the whole
        image: so the strengths are those of the whole image, and need 512 rows of it at most.

        Args:
          image: `[h, w, 3]`, floats or integers.

        Returns:
          `Samples` of float32, padded to a multiple of 64 columns.
        """
        size = reduced_size(*image.shape[:2])
        padded = -(-size[1] // 64) * 64
        taps = []
        for extent, target, length in zip(image.shape[:2], size, (ROWS, padded), strict=True):
            first, weights = resize.weights(extent, target, "bilinear")
            index = np.minimum(first[:, None] + np.arange(2), extent - 1)
            pad = ((0, length - target), (0, 0))
            taps.append((np.pad(index, pad), np.pad(weights, pad)))
        (rows, down), (columns, across) = taps
        corners = [(i, j) for i in range(2) for j in range(2)]
        colors = np.stack([image[rows[:, i, None], columns[None, :, j]] for i, j in corners])
        weights = np.stack([down[:, i, None] * across[None, :, j] for i, j in corners])
        return Samples(pixels_lib.as_float(colors)[None], weights, np.int32(size[1]))

    def parameters(self, samples: Samples):
        """Predicts the strengths: `[b, operators]`."""
        colors, strengths = samples.colors, []
        for name in self.operators:
            small = jnp.sum(colors * samples.weights[None, ..., None], axis=1)
            strength = self._strength(name, small, samples.columns)
            colors = self.operate(colors, strength[:, None, None, None], name=name)
            strengths.append(strength)
        return jnp.concatenate(strengths, axis=-1)

    def enhance_pixels(self, colors, strengths):
        """Enhances pixels `[n, 3]` of one image with its strengths `[1, operators]`."""
        for i, name in enumerate(self.operators):
            colors = self.operate(colors, strengths[:, i : i + 1], name=name)
        return jnp.clip(colors, 0.0, 1.0)

    def _strength(self, name, small, columns):
        features = self.encoder(small, columns)
        return jnp.tanh(getattr(self, f"predict_{name}")(features))


def _inside(x, columns):
    """Marks the columns that are no padding: bool `[1, 1, w, 1]`, or None where all are."""
    if columns is None:
        return None
    return (jnp.arange(x.shape[2]) < columns).reshape(1, 1, -1, 1)

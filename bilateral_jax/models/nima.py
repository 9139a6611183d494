"""NIMA: predicts the distribution of human scores, 1 to 10, of a photo.

An ImageNet classifier whose last layer is replaced by ten outputs: the probability of each score.
The distribution's mean is the predicted score, its standard deviation the disagreement. Everything
from the pixels of a photo of any size to the score is differentiable, so a trained network can be
the critic in the loss of one that enhances.

Reference: Talebi and Milanfar 2018, "NIMA: Neural image assessment"; Howard et al. 2017,
"MobileNets", table 1; the layers, names and paddings are those of the published graph.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from bilateral_jax import pixels as pixels_lib
from bilateral_jax import resize as resize_lib
from bilateral_jax.models import vgg
from bilateral_jax.models.layers import convolutions
from bilateral_jax.ops import roots

SCORES = 10
# of the thirteen blocks; channels at width 1
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
CHANNELS = (64, 128, 128, 256, 256, *(512,) * 6, 1024, 1024)
_EPSILON = 1e-3
_MOMENTUM = 0.99
_VGG_MEAN = (123.68, 116.779, 103.939)  # of red, green, blue; no deviation in the original
# without bias and activation
_plain = functools.partial(convolutions.Linear, use_bias=False, activate=False)


def distribution(model, image, *, method: str | None = None) -> jax.Array:
    """Predicts the distribution of scores of photos of any size.

    The whole photo is resized to the network's square input, whatever its shape; dropout is off and
    the batch norms use their moving statistics. With `method="antialias"` the gradient reaches
    every pixel, as a loss needs.

    Args:
      model: a `Model` of a network of this file.
      image: float `[*b, h, w, 3]` in [0, 1].
      method: how to resize, see `resize`; None for the method that the network was trained with.

    Returns:
      float32 `[*b, 10]`, probabilities that sum to 1.

    Raises:
      TypeError: integer image.
      ValueError: the image is not `[*b, h, w, 3]`, or an unknown method.
    """
    module = model.module
    small = resize(image, size=module.input_size, method=method or module.resize)
    logits = model.apply(small.reshape(-1, *small.shape[-3:]))
    return jax.nn.softmax(logits).reshape(*small.shape[:-3], SCORES)


@jax.jit
def of_squares(model, pixels) -> jax.Array:
    """Predicts the distributions of scores of square images, compiled.

    Args:
      model: as for `distribution`.
      pixels: uint8 `[b, n, n, 3]`.

    Returns:
      float32 `[b, 10]`.
    """
    return jax.nn.softmax(model.apply(pixels_lib.to_float(pixels)))


def mean_score(model, image, *, method: str | None = "antialias") -> jax.Array:
    """Predicts the mean score of photos, for a loss.

    Args:
      model: as for `distribution`.
      image: as for `distribution`.
      method: as for `distribution`; by default the one that every pixel contributes to.

    Returns:
      float32 `[*b]` in [1, 10].

    Raises:
      TypeError: as `distribution`.
      ValueError: as `distribution`.
    """
    return mean(distribution(model, image, method=method))


def mean(probabilities) -> jax.Array:
    """Computes the mean of distributions of the scores 1, 2, ...

    Args:
      probabilities: float `[*b, n]`, each summing to 1.

    Returns:
      float32 `[*b]`.
    """
    probabilities = jnp.asarray(probabilities, jnp.float32)
    return jnp.sum(probabilities * _scores(probabilities), axis=-1)


def deviation(probabilities) -> jax.Array:
    """Computes the standard deviation of distributions of the scores 1, 2, ...

    Args:
      probabilities: float `[*b, n]`, each summing to 1.

    Returns:
      float32 `[*b]`; its gradient is 0 where one score has probability 1.
    """
    probabilities = jnp.asarray(probabilities, jnp.float32)
    squares = jnp.square(_scores(probabilities) - mean(probabilities)[..., None])
    return roots.sqrt(jnp.sum(probabilities * squares, axis=-1))


def resize(image, *, size: int, method: str = "antialias") -> jax.Array:
    """Resizes photos to a square, whatever their shape.

    Args:
      image: float `[*b, h, w, 3]` in [0, 1].
      size: side of the square.
      method: "nearest" (as `PIL.Image.resize` with `NEAREST`, which the published networks were
        trained with) or "antialias" (PIL's `BILINEAR`, unrounded); see `bilateral_jax/resize.py`.

    Returns:
      float32 `[*b, size, size, 3]`.

    Raises:
      TypeError: integer image.
      ValueError: the image is not `[*b, h, w, 3]`, or an unknown method.
    """
    image = jnp.asarray(image)
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise TypeError(f"image must be float with values in [0, 1], got {image.dtype}")
    if image.ndim < 3 or image.shape[-1] != 3 or 0 in image.shape[-3:]:
        raise ValueError(f"image must be [*b, h, w, 3], got {tuple(image.shape)}")
    if method not in resize_lib.PILLOW_METHODS:
        raise ValueError(f"method must be one of {resize_lib.PILLOW_METHODS}, got {method!r}")
    return resize_lib.resize(image.astype(jnp.float32), size, method=method)


class NIMAMobileNet(nn.Module):
    """MobileNet (version 1) with ten outputs.

    Zeros are added on all four sides before every 3 x 3 layer, strided or not; that differs from
    TensorFlow's SAME where the stride is 2.

    The defaults are the published network; a small one has fewer blocks, or narrower ones.

    Attributes:
      width: of every layer, relative to the original (its "alpha").
      strides: of the blocks.
      channels: output channels of the blocks at width 1.
      input_size: side of the square input.
      resize: how photos were resized to it in training, see `resize`.
      dropout: dropout rate before the head.
      axis_name: pmap axis whose devices share the batch statistics.
    """

    width: float = 1.0
    strides: tuple[int, ...] = STRIDES
    channels: tuple[int, ...] = CHANNELS
    input_size: int = 224
    resize: str = "nearest"
    dropout: float = 0.75
    axis_name: str | None = None

    def __post_init__(self):
        super().__post_init__()
        _check_fields(self)
        if not self.width > 0:
            raise ValueError(f"width must be above 0, got {self.width}")
        if len(self.strides) != len(self.channels):
            raise ValueError(
                "strides and channels must have one entry per block, "
                f"got {self.strides} and {self.channels}"
            )

    def example_inputs(self):
        """Arguments of `__call__` for initialisation."""
        return (jnp.zeros((1, 32, 32, 3)),)

    @nn.compact
    def __call__(self, image, *, train: bool = False, moving_statistics: bool = False):
        """Predicts the logits of square images.

        Args:
          image: float `[b, n, n, 3]` in [0, 1]; n is `input_size`, but any size works.
          train: dropout, and batch norm by the batch.
          moving_statistics: batch norm by the moving statistics, without updating them, even in
            training: for the phase in which the head alone is trained.

        Returns:
          Logits `[b, 10]`.
        """
        by_batch = train and not moving_statistics
        x = 2.0 * image - 1.0
        x = _plain(self._channels(32), 3, 2, padding=((1, 1), (1, 1)), name="conv1")(x)
        x = self._norm(x, "conv1_bn", by_batch)
        for i, (stride, channels) in enumerate(zip(self.strides, self.channels), 1):
            x = convolutions.Depthwise(stride, name=f"conv_dw_{i}")(x)
            x = self._norm(x, f"conv_dw_{i}_bn", by_batch)
            x = _plain(self._channels(channels), 1, name=f"conv_pw_{i}")(x)
            x = self._norm(x, f"conv_pw_{i}_bn", by_batch)
        x = nn.Dropout(self.dropout, deterministic=not train)(x.mean((1, 2)))
        return _head(x)

    def _channels(self, channels):
        return max(1, int(channels * self.width))

    def _norm(self, x, name, by_batch):
        norm = nn.BatchNorm(
            use_running_average=not by_batch,
            momentum=_MOMENTUM,
            epsilon=_EPSILON,
            axis_name=self.axis_name,
            use_fast_variance=False,
            name=name,
        )
        return jnp.clip(norm(x), 0.0, 6.0)


class NIMAVGG16(nn.Module):
    """VGG-16 with its two layers of 4096, and ten outputs in place of the last one.

    Attributes:
      width: channels of the first block of convolutions, 64 in the original.
      hidden: features of the two layers behind the convolutions.
      input_size: side of the square input.
      resize: how photos were resized to it in training, see `resize`.
      dropout: dropout rate before the head.
      axis_name: pmap axis; nothing here depends on other devices.
    """

    width: int = 64
    hidden: int = 4096
    input_size: int = 224
    resize: str = "nearest"
    dropout: float = 0.75
    axis_name: str | None = None

    def __post_init__(self):
        super().__post_init__()
        _check_fields(self)

    def example_inputs(self):
        """Arguments of `__call__` for initialisation; the first dense layer depends on the size."""
        return (jnp.zeros((1, self.input_size, self.input_size, 3)),)

    @nn.compact
    def __call__(self, image, *, train: bool = False, moving_statistics: bool = False):
        """Predicts the logits of square images.

        Args:
          image: float `[b, n, n, 3]` in [0, 1]; n is `input_size`.
          train: dropout.
          moving_statistics: not used; the signature is that of `NIMAMobileNet`.

        Returns:
          Logits `[b, 10]`.
        """
        del moving_statistics
        trunk = vgg.Trunk(vgg.DEPTHS["vgg16"], self.width, name="trunk")
        mean = jnp.asarray(_VGG_MEAN, jnp.float32).reshape(1, 1, 1, 3)
        x = trunk(255.0 * image - mean)
        x = x.reshape(len(x), -1)
        x = convolutions.Linear(self.hidden, kernel_size=0, name="fc6")(x)
        x = convolutions.Linear(self.hidden, kernel_size=0, name="fc7")(x)
        return _head(nn.Dropout(self.dropout, deterministic=not train)(x))


def _head(x):
    return nn.Dense(
        SCORES,
        precision=convolutions.PRECISION,
        kernel_init=nn.initializers.glorot_uniform(),
        name="head",
    )(x)


def _check_fields(module):
    methods = resize_lib.PILLOW_METHODS
    if module.resize not in methods:
        raise ValueError(f"resize must be one of {methods}, got {module.resize!r}")
    if not 0 <= module.dropout < 1:
        raise ValueError(f"dropout must lie in [0, 1), got {module.dropout}")
    if module.input_size < 1:
        raise ValueError(f"input_size must be at least 1, got {module.input_size}")


def _scores(probabilities):
    """1, 2, ..., n, with the rank of `probabilities`."""
    count = probabilities.shape[-1]
    return jnp.arange(1.0, count + 1.0).reshape((1,) * (probabilities.ndim - 1) + (count,))


NETWORKS = (NIMAMobileNet, NIMAVGG16)

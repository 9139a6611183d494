"""The networks of NIMA: ImageNet classifiers whose last layer gives the logits of ten scores.

Reference: Talebi and Milanfar 2018, "NIMA: Neural image assessment"; Howard et al. 2017,
"MobileNets", table 1; the layers, names and paddings are those of the published graph.
"""

import functools

import flax.linen as nn
import jax.numpy as jnp

from bilateral_jax import resize as resize_lib
from bilateral_jax.models import efficientnet, vgg
from bilateral_jax.models.layers import convolutions

SCORES = 10
# of the thirteen blocks; channels at width 1
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
CHANNELS = (64, 128, 128, 256, 256, *(512,) * 6, 1024, 1024)
_EPSILON = 1e-3
_MOMENTUM = 0.99
_VGG_MEAN = (123.68, 116.779, 103.939)  # of red, green, blue; no deviation in the original
# without bias and activation
_plain = functools.partial(convolutions.Linear, use_bias=False, activate=False)


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
        (x,) = trunk(255.0 * image - mean)
        x = x.reshape(len(x), -1)
        x = convolutions.Linear(self.hidden, kernel_size=0, name="fc6")(x)
        x = convolutions.Linear(self.hidden, kernel_size=0, name="fc7")(x)
        return _head(nn.Dropout(self.dropout, deterministic=not train)(x))


class NIMAEfficientNet(nn.Module):
    """EfficientNet-Lite0 with ten outputs.

    As NIMA has it, the head sees the means of the last convolution. Those say what a photo shows;
    earlier blocks tell noise, blur and exposure better, so it can see their means instead, and the
    network then ends with the last of them.

    Attributes:
      kernels: see `efficientnet.Trunk`.
      strides: see `efficientnet.Trunk`.
      expansions: see `efficientnet.Trunk`.
      channels: see `efficientnet.Trunk`.
      stem: see `efficientnet.Trunk`.
      features: channels of the last convolution.
      blocks: numbers of the blocks whose features, divided by `efficientnet.feature_scale`, the
        head sees the means of; none for those of the last convolution.
      input_size: side of the square input.
      resize: how photos were resized to it in training, see `nima.resize`.
      dropout: dropout rate before the head.
      axis_name: pmap axis whose devices share the batch statistics.
    """

    kernels: tuple[int, ...] = efficientnet.KERNELS
    strides: tuple[int, ...] = efficientnet.STRIDES
    expansions: tuple[int, ...] = efficientnet.EXPANSIONS
    channels: tuple[int, ...] = efficientnet.CHANNELS
    stem: int = 32
    features: int = 1280
    blocks: tuple[int, ...] = ()
    input_size: int = 224
    resize: str = "antialias"
    dropout: float = 0.75
    axis_name: str | None = None

    def __post_init__(self):
        super().__post_init__()
        _check_fields(self)
        if any(not 0 <= number < len(self.channels) for number in self.blocks):
            raise ValueError(
                f"blocks must be numbers in [0, {len(self.channels)}), got {self.blocks}"
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
          moving_statistics: as for `NIMAMobileNet`.

        Returns:
          Logits `[b, 10]`.
        """
        by_batch = train and not moving_statistics
        fields = self.kernels, self.strides, self.expansions, self.channels, self.stem
        trunk = efficientnet.Trunk(*fields, self.axis_name, name="trunk")
        if self.blocks:
            names = [f"block{number}" for number in self.blocks]
            layers = trunk(image, layers=names, by_batch=by_batch)
            scales = [efficientnet.feature_scale(name) for name in names]
            means = [x.mean((1, 2)) / scale for x, scale in zip(layers, scales, strict=True)]
            x = jnp.concatenate(means, axis=-1)
        else:
            (x,) = trunk(image, by_batch=by_batch)
            pooled = efficientnet.PooledHead(self.features, self.axis_name, name="pooled")
            x = pooled(x, by_batch=by_batch)
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


NETWORKS = (NIMAMobileNet, NIMAVGG16, NIMAEfficientNet)

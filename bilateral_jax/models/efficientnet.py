"""EfficientNet-Lite0: an ImageNet classifier, used as a feature extractor and as a backbone.

Inverted residual blocks without squeeze-and-excitation, ReLU6 in place of swish, and TensorFlow's
SAME padding. Its ImageNet weights come with a Python package, so losses and metrics of features
need no other source of weights.

Reference: Tan and Le 2019, "EfficientNet", table 1; Sandler et al. 2018, "MobileNetV2", table 1
(the block); the layers and names are those of the published "Lite" variant.
"""

import functools

import flax.linen as nn
import jax.numpy as jnp

from bilateral_jax.models.layers import convolutions, feature_layers

# of the sixteen blocks
KERNELS = (3, 3, 3, 5, 5, 3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 3)
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
EXPANSIONS = (1, *(6,) * 15)
CHANNELS = (16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320)
_EPSILON = 1e-3
_MOMENTUM = 0.99
# pixels of 0 to 255 are seen as (x - 127) / 128
_SCALE, _SHIFT = 255.0 / 128.0, 127.0 / 128.0
# Root mean square of the features of the stem and of the blocks: the published weights, on the five
# photos that the demos are trained on, 320 x 448.
_ROOT_MEAN_SQUARES = {"stem": 2.8} | {
    f"block{number}": value
    for number, value in enumerate(
        (6.3, 7.0, 8.5, 6.9, 7.6, 5.7, 6.2, 6.6, 5.5, 5.8, 6.3, 4.2, 4.9, 5.5, 6.2, 2.7)
    )
}
# without bias and activation
_plain = functools.partial(convolutions.Linear, use_bias=False, activate=False)


def layer_names(blocks: int) -> tuple[str, ...]:
    """Returns the names of the layers of a trunk with so many blocks, first to last."""
    return ("stem", *(f"block{number}" for number in range(blocks)))


class Trunk(nn.Module):
    """A strided convolution ("stem") and the inverted residual blocks, up to a chosen one.

    A block expands its channels by a 1 x 1 convolution (but where the expansion is 1), convolves
    each of them, and projects them by another 1 x 1 convolution; batch norm follows all three,
    ReLU6 the first two. The input is added where it has the shape of the output.

    Attributes:
      kernels: sides of the blocks' depthwise kernels.
      strides: of the blocks.
      expansions: hidden channels of the blocks, relative to those of their input.
      channels: output channels of the blocks.
      stem: output channels of the first convolution.
      axis_name: pmap axis whose devices share the batch statistics.
    """

    kernels: tuple[int, ...] = KERNELS
    strides: tuple[int, ...] = STRIDES
    expansions: tuple[int, ...] = EXPANSIONS
    channels: tuple[int, ...] = CHANNELS
    stem: int = 32
    axis_name: str | None = None

    def __post_init__(self):
        super().__post_init__()
        fields = (self.kernels, self.strides, self.expansions, self.channels)
        if len({len(field) for field in fields}) != 1:
            raise ValueError(
                "kernels, strides, expansions and channels must have one entry per block, got "
                f"{', '.join(str(len(field)) for field in fields)} entries"
            )

    def names(self) -> tuple[str, ...]:
        """The layers' names, first to last, as `__call__` takes them."""
        return layer_names(len(self.channels))

    @nn.compact
    def __call__(self, image, *, layers=None, by_batch: bool = False):
        """Computes the features of some layers.

        Args:
          image: float `[b, h, w, 3]`, red, green, blue in [0, 1].
          layers: names of `names`, in any order; None for the last block.
          by_batch: batch norm by the batch, else by the moving statistics.

        Returns:
          Tuple of `[b, h', w', c']`, one per layer.
        """
        layers = self.names()[-1:] if layers is None else layers
        last = feature_layers.last_layer(layers, names=self.names())
        x = _SCALE * image - _SHIFT
        x = _plain(self.stem, 3, 2, name="conv_stem")(x)
        x = _relu6(norm(x, "stem_bn", by_batch, self.axis_name))
        found = {"stem": x}
        blocks = zip(self.kernels, self.strides, self.expansions, self.channels, strict=True)
        for number, (kernel, stride, expansion, channels) in enumerate(blocks):
            if number >= last:
                break
            block = _Block(
                kernel, stride, expansion, channels, self.axis_name, name=f"block{number}"
            )
            x = found[block.name] = block(x, by_batch=by_batch)
        return tuple(found[name] for name in layers)


class _Block(nn.Module):
    """An inverted residual block, see `Trunk`."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    axis_name: str | None

    @nn.compact
    def __call__(self, x, *, by_batch):
        start, hidden = x, x.shape[-1] * self.expansion
        if self.expansion != 1:
            x = _plain(hidden, 1, name="expand")(x)
            x = _relu6(norm(x, "expand_bn", by_batch, self.axis_name))
        depthwise = convolutions.Depthwise(
            self.stride, kernel_size=self.kernel, padding="SAME", name="depthwise"
        )
        x = _relu6(norm(depthwise(x), "depthwise_bn", by_batch, self.axis_name))
        x = norm(
            _plain(self.channels, 1, name="project")(x), "project_bn", by_batch, self.axis_name
        )
        return x + start if self.stride == 1 and x.shape == start.shape else x


class EfficientNetLite0(nn.Module):
    """The trunk, a 1 x 1 convolution, the mean over positions, and a dense layer.

    The defaults are the published network; a small one has fewer or narrower blocks.

    Attributes:
      kernels: see `Trunk`.
      strides: see `Trunk`.
      expansions: see `Trunk`.
      channels: see `Trunk`.
      stem: see `Trunk`.
      head: channels whose means the dense layer sees.
      classes: outputs of the dense layer.
    """

    kernels: tuple[int, ...] = KERNELS
    strides: tuple[int, ...] = STRIDES
    expansions: tuple[int, ...] = EXPANSIONS
    channels: tuple[int, ...] = CHANNELS
    stem: int = 32
    head: int = 1280
    classes: int = 1000

    def example_inputs(self):
        """Arguments of `__call__` for initialisation."""
        return (jnp.zeros((1, 32, 32, 3)),)

    def setup(self):
        self.trunk = Trunk(self.kernels, self.strides, self.expansions, self.channels, self.stem)
        self.pooled = PooledHead(self.head)
        self.classifier = convolutions.Linear(self.classes, kernel_size=0, activate=False)

    def __call__(self, image):
        """Predicts the logits of the classes.

        Args:
          image: float `[b, h, w, 3]` in [0, 1]; 224 x 224 in the original, any size works.

        Returns:
          float32 `[b, classes]`.
        """
        (x,) = self.trunk(image)
        return self.classifier(self.pooled(x))

    def features(self, image, layers):
        """Computes the features of some layers.

        Args:
          image: float `[b, h, w, 3]` in [0, 1]; values outside are not clipped.
          layers: names of `layers`.

        Returns:
          Tuple of float32 `[b, h', w', c']`, one per layer.
        """
        return self.trunk(image, layers=layers)

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers that `features` gives, first to last."""
        return layer_names(len(self.channels))

    @property
    def stage_layers(self) -> tuple[str, ...]:
        """The last layer of every resolution: blocks 0, 2, 4, 10 and 15 of the published one."""
        after = [*(stride > 1 for stride in self.strides[1:]), True]
        return tuple(f"block{number}" for number, ends in enumerate(after) if ends)

    @property
    def content_layers(self) -> tuple[str, ...]:
        """The layers of a content loss: blocks 2, 4 and 10, at 1/4, 1/8 and 1/16 of the size."""
        return self.stage_layers[1:-1] or self.stage_layers

    def feature_scale(self, layer) -> float:
        """What a content loss divides the features of a layer by, see `feature_scale`."""
        return feature_scale(layer)


def feature_scale(layer: str) -> float:
    """Returns the root mean square of the published network's features of a layer, over photos.

    Features divided by it count alike, from whatever layer they are.

    Args:
      layer: a name of the published network's layers.
    """
    return _ROOT_MEAN_SQUARES[layer]


class PooledHead(nn.Module):
    """A 1 x 1 convolution, batch norm, ReLU6, and the mean over positions.

    Attributes:
      features: output channels.
      axis_name: pmap axis whose devices share the batch statistics.
    """

    features: int
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, *, by_batch: bool = False):
        x = _plain(self.features, 1, name="conv")(x)
        return _relu6(norm(x, "conv_bn", by_batch, self.axis_name)).mean((1, 2))


def norm(x, name, by_batch, axis_name):
    """Normalises a layer of the network that calls it, with gain and shift.

    Args:
      x: `[b, h, w, c]`.
      name: of the layer.
      by_batch: by the moments of the batch, which also move the moving statistics; else by those.
      axis_name: pmap axis whose devices share the batch statistics.
    """
    return nn.BatchNorm(
        use_running_average=not by_batch,
        momentum=_MOMENTUM,
        epsilon=_EPSILON,
        axis_name=axis_name,
        use_fast_variance=False,
        name=name,
    )(x)


def _relu6(x):
    return jnp.clip(x, 0.0, 6.0)

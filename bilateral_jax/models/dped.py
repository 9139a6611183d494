"""DPED: a residual network that maps phone photos to the quality of a DSLR, and its critic.

The generator is fully convolutional, with instance norm by statistics of the whole image, in
training and in inference (the paper's text says batch norm; the published code and weights have
instance norm). The critic classifies patches as real or enhanced; it is given grey ones, so that
colour is left to another loss.

Reference: Ignatov et al. 2017, "DSLR-quality photos on mobile devices with deep convolutional
networks", section 3; published code and weights where the two differ.
"""

import functools

import flax.linen as nn
import jax.numpy as jnp

from bilateral_jax.models import inference_methods
from bilateral_jax.models.layers import convolutions, norms, reverse_mode_convolution, row_tiles

_INIT = nn.initializers.truncated_normal(0.01, lower=-2.0, upper=2.0)
_BIAS = nn.initializers.constant(0.01)
_CRITIC_NORMS = ("instance", "none")
_BORDERS = ("zeros", "reflect")
_INITIAL = {
    "published": (_INIT, _BIAS),
    "he": (convolutions.he_truncated_normal, nn.initializers.zeros),
}


class DPED(nn.Module):
    """The generator: 9 x 9, four residual blocks of two 3 x 3, two more 3 x 3, 9 x 9.

    The output is `0.58 tanh(.) + 0.5`, so it may leave [0, 1] by 0.08; nothing is clipped here.
    With `residual` it is the image plus `tanh(.)`, whose last layer (`residual`) starts at 0: the
    network starts as the identity. The two do not exchange weights.

    Attributes:
      width: channels of every layer but the last.
      blocks: residual blocks.
      initial: initial weights. "published": a standard deviation of 0.01, with which the output
        hardly depends on the image and the first steps may leave layers without gradient; "he": He
        initialisation, but for the last layer.
      residual: the output is added to the image; not in the original.
      border: what lies beyond the image for every convolution: "zeros", as in the original, from
        which the network can tell how far the border is; or "reflect", the image reflected.
    """

    width: int = 64
    blocks: int = 4
    initial: str = "published"
    residual: bool = False
    border: str = "zeros"

    def __post_init__(self):
        super().__post_init__()
        _check_counts(self, "width")
        if type(self.blocks) is not int or self.blocks < 0:
            raise ValueError(f"blocks must be an int of at least 0, got {self.blocks!r}")
        if self.initial not in _INITIAL:
            raise ValueError(f"initial must be one of {tuple(_INITIAL)}, got {self.initial!r}")
        if not isinstance(self.residual, bool):
            raise ValueError(f"residual must be True or False, got {self.residual!r}")
        if self.border not in _BORDERS:
            raise ValueError(f"border must be one of {_BORDERS}, got {self.border!r}")

    def example_inputs(self):
        """Arguments of `__call__` of the smallest size, for initialisation."""
        return (jnp.zeros((1, 1, 1, 3)),)

    @property
    def inference_method(self):
        """By row tiles, with the moments of both layers of every block."""
        return inference_methods.ByRowTiles(statistics=2 * self.blocks, features=self.width)

    def __call__(self, image):
        """Enhances whole images `[b, h, w, 3]` in [0, 1]: the same shape, in (-0.08, 1.08).

        With `residual` in [-1, 2].
        """
        return self.run(row_tiles.RowTile(image)).values

    enhance = __call__

    @nn.compact
    def run(self, tile, known=(), *, stop=None):
        """Runs the network on a row tile.

        Args:
          tile: a `RowTile` of the image.
          known: `Moments` of the whole image for the first norms; the others are measured on the
            tile, which must then be the whole image.
          stop: index of a norm: return its input instead.

        Returns:
          A `RowTile`; rows near its ends that depend on rows outside the tile are dropped.
        """
        kernel, bias = _INITIAL[self.initial]
        conv = functools.partial(
            row_tiles.convolve, border=self.border, kernel_init=kernel, bias_init=bias
        )
        x = conv(tile, self.width, kernel_size=9, name="head").map(nn.relu)
        for block in range(self.blocks):
            skip = x
            for i in (2 * block, 2 * block + 1):
                x = conv(x, self.width, name=f"conv_{i}")
                if i == stop:
                    return x
                moments = known[i] if i < len(known) else norms.moments(x.values)
                x = x.map(norms.InstanceNorm(name=f"norm_{i}"), moments).map(nn.relu)
            x = x.plus(skip)
        for i in range(2):
            x = conv(x, self.width, name=f"tail_{i}").map(nn.relu)
        if self.residual:
            return row_tiles.add_residual(x, tile, kernel_size=9, border=self.border)
        x = conv(x, 3, kernel_size=9, kernel_init=_INIT, name="last")
        return x.map(lambda y: 0.58 * jnp.tanh(y) + 0.5)


class DPEDCritic(nn.Module):
    """The discriminator: five convolutions, three strided, a hidden dense layer, one or two logits.

    Every convolution is followed by a leaky ReLU and then, but for the first, by instance norm.
    What it sees of an image is made outside: grey in DPED (`color.gray`); in WESPE grey for one
    critic, blurred colours for another (`losses/blurred.py`).

    Attributes:
      input_channels: 1 for grey, 3 for colours.
      channels: of the five convolutions.
      hidden: units of the dense layer.
      size: side of the patches.
      pooled: average over positions before the dense layer, without the norm before: patches of
        any size and 6 million parameters fewer; the original takes one size. (The mean of an
        instance norm's output is its shift, whatever the image.)
      logits: 2 for the softmax of the original, or 1: the score of a sigmoid.
      norm: "instance"; or "none", with He initialisation, so that the signal lasts: instance norm
        hides the brightness and contrast of a whole patch.
    """

    input_channels: int = 1
    channels: tuple[int, ...] = (48, 128, 192, 192, 128)
    hidden: int = 1024
    size: int = 100
    pooled: bool = False
    logits: int = 2
    norm: str = "instance"

    def __post_init__(self):
        super().__post_init__()
        if self.input_channels not in (1, 3):
            raise ValueError(f"input_channels must be 1 or 3, got {self.input_channels!r}")
        if self.logits not in (1, 2):
            raise ValueError(f"logits must be 1 or 2, got {self.logits!r}")
        if self.norm not in _CRITIC_NORMS:
            raise ValueError(f"norm must be one of {_CRITIC_NORMS}, got {self.norm!r}")
        if len(self.channels) != 5:
            raise ValueError(f"channels must be five numbers, got {tuple(self.channels)}")
        if any(type(count) is not int or count < 1 for count in self.channels):
            raise ValueError(f"channels must be positive ints, got {tuple(self.channels)}")
        _check_counts(self, "hidden", "size")

    def example_inputs(self):
        """Arguments of `__call__`, for initialisation."""
        return (jnp.zeros((1, self.size, self.size, self.input_channels)),)

    @nn.compact
    @reverse_mode_convolution.reverse_mode()
    def __call__(self, image):
        """Classifies patches.

        Args:
          image: `[b, size, size, input_channels]`; values outside [0, 1] are not clipped.

        Returns:
          Logits `[b, 2]`: real (a patch of the camera), enhanced; with one logit scores `[b]`, the
          larger the more like a real patch.
        """
        if image.shape[-1] != self.input_channels:
            raise ValueError(
                f"image must have {self.input_channels} channels (input_channels), got shape "
                f"{tuple(image.shape)}; color.gray makes one channel of three"
            )
        strides = 8 if self.pooled else 16  # before the last norm
        if self.norm == "instance" and max(image.shape[1:3]) <= strides:
            raise ValueError(
                f"patches of {image.shape[1]} x {image.shape[2]} pixels have one position left "
                f"after the strides, where instance norm gives 0; one side must exceed {strides}"
            )
        if not self.pooled and image.shape[1:3] != (self.size, self.size):
            raise ValueError(
                f"this critic takes patches of {self.size} x {self.size} pixels, got "
                f"{image.shape[1]} x {image.shape[2]}; pooled=True takes any size"
            )
        kernel, bias = _INITIAL["published" if self.norm == "instance" else "he"]
        linear = functools.partial(
            convolutions.Linear, activate=False, kernel_init=kernel, bias_init=bias
        )
        x = image
        steps = zip(self.channels, (11, 5, 3, 3, 3), (4, 2, 1, 1, 2))
        for i, (features, side, stride) in enumerate(steps):
            x = convolutions.leaky_relu(linear(features, side, stride, name=f"conv_{i}")(x))
            averaged = self.pooled and i == len(self.channels) - 1
            if i and self.norm == "instance" and not averaged:
                x = norms.InstanceNorm(name=f"norm_{i}")(x, norms.moments(x))
        x = x.mean((1, 2)) if self.pooled else x.reshape(len(x), -1)
        x = convolutions.leaky_relu(linear(self.hidden, 0, name="hidden")(x))
        scores = linear(self.logits, 0, name="last")(x)
        return scores if self.logits == 2 else scores[:, 0]


def _check_counts(module, *names):
    for name in names:
        value = getattr(module, name)
        if type(value) is not int or value < 1:
            raise ValueError(f"{name} must be a positive int, got {value!r}")

"""VGG: stacks of 3 x 3 convolutions between max pools, used as a feature extractor.

DPED's content loss compares features of the last convolution of VGG-19; a NIMA may have a VGG-16
trunk. Both are the same trunk with other depths; layers after the trunk are in the networks that
use it.

Reference: Simonyan and Zisserman 2015, "Very deep convolutional networks for large-scale image
recognition", table 1.
"""

import flax.linen as nn
import jax.numpy as jnp

from bilateral_jax.models.layers import convolutions, feature_layers

# Convolutions per block.
DEPTHS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


def layer_names(depths: tuple[int, ...]) -> tuple[str, ...]:
    """Returns the names of the layers of a trunk, first to last: relu1_1, ..., pool1, ...

    Args:
      depths: convolutions of every block.
    """
    names = []
    for block, depth in enumerate(depths, start=1):
        names += [f"relu{block}_{i}" for i in range(1, depth + 1)] + [f"pool{block}"]
    return tuple(names)


class Trunk(nn.Module):
    """Blocks of 3 x 3 convolutions with ReLU, each but the first after a 2 x 2 max pool.

    Layers have their published names: convolution `conv3_2` has the output `relu3_2`, and `pool3`
    follows the last of block 3.

    Attributes:
      depths: convolutions of every block, as in `DEPTHS`.
      width: channels of the first block; each block doubles them, up to eight times `width`.
      padding: "SAME": a pool of an odd side keeps its last row and column; "VALID" drops them.
    """

    depths: tuple[int, ...] = DEPTHS["vgg19"]
    width: int = 64
    padding: str = "SAME"

    def __post_init__(self):
        super().__post_init__()
        if self.padding not in ("SAME", "VALID"):
            raise ValueError(f'padding must be "SAME" or "VALID", got {self.padding!r}')

    def names(self) -> tuple[str, ...]:
        """The layers' names, first to last, as `__call__` takes them."""
        return layer_names(self.depths)

    @nn.compact
    def __call__(self, x, *, layers=None):
        """Computes the features of some layers.

        Args:
          x: float `[b, h, w, c]`, scaled as the weights expect it.
          layers: names of `names`, in any order; None for the last pool.

        Returns:
          Tuple of `[b, h', w', c']`, one per layer.
        """
        names, found = self.names(), {}
        layers = names[-1:] if layers is None else layers
        for name in names[: 1 + feature_layers.last_layer(layers, names=names)]:
            if name.startswith("pool"):
                x = nn.max_pool(x, (2, 2), strides=(2, 2), padding=self.padding)
            else:
                block, number = name.removeprefix("relu").split("_")
                features = self.width * min(2 ** (int(block) - 1), 8)
                x = convolutions.Linear(features, name=f"conv{block}_{number}")(x)
            found[name] = x
        return tuple(found[name] for name in layers)


class VGG(nn.Module):
    """A trunk up to its last convolution, with the scaling of pixels that its weights expect.

    The network sees `(scale * image - mean) / deviation`. The defaults are those of the MatConvNet
    weights in DPED; the importers set those of other weights.

    Attributes:
      depths: convolutions of every block, as in `DEPTHS`.
      width: channels of the first block.
      padding: of the pools, see `Trunk`.
      scale: what pixels in [0, 1] are multiplied by.
      mean: of red, green and blue after that.
      deviation: of red, green and blue.
    """

    depths: tuple[int, ...] = DEPTHS["vgg19"]
    width: int = 64
    padding: str = "SAME"
    scale: float = 255.0
    mean: tuple[float, ...] = (123.68, 116.779, 103.939)
    deviation: tuple[float, ...] = (1.0, 1.0, 1.0)

    def example_inputs(self):
        """Arguments of `__call__` of the smallest size, for initialisation."""
        side = 2 ** (len(self.depths) - 1)
        return (jnp.zeros((1, side, side, 3)),)

    @property
    def last(self) -> str:
        """The name of the last convolution's layer: `relu5_4` of VGG-19."""
        return self.stage_layers[-1]

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers that `features` gives, first to last."""
        return layer_names(self.depths)

    @property
    def stage_layers(self) -> tuple[str, ...]:
        """The last layer of every resolution: `relu1_2`, ..., `relu5_4` of VGG-19."""
        return tuple(f"relu{block}_{depth}" for block, depth in enumerate(self.depths, start=1))

    @property
    def content_layers(self) -> tuple[str, ...]:
        """The layers of a content loss: the last convolution alone, as DPED's."""
        return (self.last,)

    def feature_scale(self, layer) -> float:
        """What a content loss divides the features of a layer by: 1, as in DPED."""
        del layer
        return 1.0

    def __call__(self, image, *, layer=None):
        """Computes the features of one layer.

        Args:
          image: as for `features`.
          layer: a name of `layers`; None for the last convolution.

        Returns:
          float32 `[b, h', w', c']`.
        """
        return self.features(image, (layer or self.last,))[0]

    @nn.compact
    def features(self, image, layers):
        """Computes the features of some layers.

        Args:
          image: float `[b, h, w, 3]`, red, green, blue in [0, 1]; values outside are not clipped.
          layers: names of `layers`.

        Returns:
          Tuple of float32 `[b, h', w', c']`, one per layer.
        """
        mean, deviation = (
            jnp.asarray(x, jnp.float32).reshape(1, 1, 1, 3) for x in (self.mean, self.deviation)
        )
        trunk = Trunk(self.depths, self.width, self.padding, name="trunk")
        return trunk((self.scale * image - mean) / deviation, layers=layers)

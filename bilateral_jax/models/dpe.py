"""Deep Photo Enhancer: a U-Net with a global vector, and the critic of its adversarial training.

The generator adds a residual to the photo. Its encoder goes on to a vector of the whole photo,
which is put beside the features at 1/16 of the resolution. The vector is computed from the photo at
the size of the training; everything else is local and runs at any size. Batch norm may have a set
of weights and statistics for each role of a generator: photos as input, or the output of the other
generator.

Reference: Chen, Wang, Kao and Chuang 2018, "Deep Photo Enhancer: unpaired learning for image
enhancement from photographs with GANs"; the authors' code where the two differ.
"""

import functools

import flax.linen as nn
import jax.numpy as jnp

from bilateral_jax import resize
from bilateral_jax.models import inference_methods
from bilateral_jax.models.layers import convolutions, norms, reverse_mode_convolution

# Not the constants of Klambauer et al. 2017; those of the published code.
SELU_SCALE = 1.0026538655307724
SELU_ALPHA = 1.0198755295894968

_INIT = convolutions.truncated_normal(1e-3)
_CRITIC_NORMS = ("instance", "none")
_STRIDE = 16  # of the coarsest layer that keeps its position
# All convolutions reach 79 pixels; nearest-neighbour enlargement moves a pixel by up to 15.
_HALO = 94
_HEAD_STRIDE = 64  # of the layer before the head of the global vector
_CRITIC_STRIDE = 32


def selu(x):
    """Computes the scaled exponential linear unit with the published code's constants."""
    return SELU_SCALE * jnp.where(x > 0, x, SELU_ALPHA * jnp.expm1(jnp.minimum(x, 0)))


class MirroredConvolution(nn.Module):
    """A convolution with a bias on images continued by mirroring; no activation.

    Attributes:
      features: output channels.
      kernel_size: side of the square kernel, odd.
      stride: step on both axes.
      kernel_init: initialiser of the kernel.
    """

    features: int
    kernel_size: int = 3
    stride: int = 1
    kernel_init: nn.initializers.Initializer = _INIT

    @nn.compact
    def __call__(self, x):
        reach = (self.kernel_size - 1) // 2
        if reach:
            x = jnp.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="symmetric")
        layer = convolutions.Linear(
            self.features,
            self.kernel_size,
            self.stride,
            padding="VALID",
            activate=False,
            kernel_init=self.kernel_init,
            name="convolution",
        )
        return layer(x)


class DPE(nn.Module):
    """The generator; 3,335,395 parameters, 3,338,115 with two sets of batch norm.

    Every layer is a convolution, then SELU, then batch norm. Skip connections carry what an encoder
    layer's convolution gives, before its SELU.

    Attributes:
      width: channels of the first and last layers; the widest have 8 times as many.
      size: side of the square photos of the training, a multiple of 64; the global vector is
        computed at this size.
      norm_sets: sets of batch norm; 2 for the two roles of a generator in two-way training.
      pooled: average over positions before the global vector, in place of the convolution over all
        of them: fewer parameters, and training at any multiple of 16.
      axis_name: pmap axis whose devices share the batch statistics.
    """

    width: int = 16
    size: int = 512
    norm_sets: int = 1
    pooled: bool = False
    axis_name: str | None = None

    def __post_init__(self):
        _check_positive(self, "width", "size", "norm_sets")
        _check_multiple(self.size, _HEAD_STRIDE)
        super().__post_init__()

    def setup(self):
        conv, width = MirroredConvolution, self.width
        norm = functools.partial(norms.BatchNormSets, self.norm_sets, self.axis_name)
        widest = 8 * width
        self.encoder = [
            conv(width),
            *(conv(factor * width, 5, 2) for factor in (2, 4, 8)),
            conv(widest, 5, 2),
        ]
        self.encoder_norms = [norm() for _ in self.encoder]
        self.summary = [conv(widest, 5, 2) for _ in range(2)]
        self.summary_norms = [norm() for _ in self.summary]
        side = 1 if self.pooled else self.size // _HEAD_STRIDE
        self.head = convolutions.Linear(
            widest, side, padding="VALID", activate=False, kernel_init=_INIT
        )
        self.vector = conv(widest, 1)
        self.middle = conv(widest)
        self.fusion = conv(widest, 1)
        self.fusion_norm = norm()
        self.decoder = [conv(factor * width) for factor in (8, 8, 4, 2)]
        self.decoder_norms = [norm() for _ in self.decoder]
        self.last = [conv(width), conv(3)]
        self.last_norm = norm()

    def example_inputs(self):
        """Arguments of `__call__`, for initialisation."""
        return (jnp.zeros((1, self.size, self.size, 3)),)

    @property
    def inference_method(self):
        """By tiles with a halo, with the global vector of the photo at the size of the training."""
        return inference_methods.ByHaloTiles(
            halo=_HALO,
            features=3 * self.width,
            stride=_STRIDE,
            net_input_size=self.size,
            mirrored=True,
        )

    def __call__(self, image, *, norm_set: int = 0, train: bool = False):
        """Enhances photos of the size of the training.

        Args:
          image: `[b, size, size, 3]` in [0, 1]; other photos are continued by mirroring.
          norm_set: which set of batch norm is used.
          train: normalise by the statistics of the batch, and update the moving ones of that set.

        Returns:
          `[b, size, size, 3]`, unbounded.
        """
        self._check(image, norm_set)
        options = {"norm_set": norm_set, "train": train}
        features, skips = self._encode(image, **options)
        return self._decode(image, features, skips, self._summarise(features, **options), **options)

    def enhance(self, image, *, norm_set: int = 0):
        """Enhances photos `[b, h, w, 3]` of any size in memory: the same shape, unbounded."""
        height, width = image.shape[1:3]
        method = self.inference_method
        size = resize.fitted_size(height, width, self.size)
        lowres = _mirrored(
            resize.resize(image, size, method=method.lowres_method), (self.size,) * 2
        )
        vector = self.global_features(lowres, norm_set=norm_set)
        whole = _mirrored(image, method.mirrored_size(height, width))
        return self.enhance_tile(whole, vector, norm_set=norm_set)[:, :height, :width]

    def global_features(self, lowres, *, norm_set: int = 0):
        """Computes the global vectors `[b, 1, 1, c]` of photos `[b, size, size, 3]`."""
        self._check(lowres, norm_set)
        features, _ = self._encode(lowres, norm_set=norm_set)
        return self._summarise(features, norm_set=norm_set)

    def enhance_tile(self, tile, vector, *, norm_set: int = 0):
        """Enhances tiles `[b, h, w, 3]` of photos, given their global vectors: the same shape.

        Height and width are multiples of 16.
        """
        features, skips = self._encode(tile, norm_set=norm_set)
        return self._decode(tile, features, skips, vector, norm_set=norm_set)

    def _encode(self, image, **options):
        """Features at 1/16 of the resolution, and those of the other layers before their SELU."""
        x, skips = image, []
        for conv, norm in zip(self.encoder, self.encoder_norms, strict=True):
            skips.append(conv(x))
            x = norm(selu(skips[-1]), **options)
        return x, skips[:-1]

    def _summarise(self, features, **options):
        x = features
        for conv, norm in zip(self.summary, self.summary_norms, strict=True):
            x = norm(selu(conv(x)), **options)
        if self.pooled:
            x = x.mean((1, 2), keepdims=True)
        return self.vector(selu(self.head(x)))

    def _decode(self, image, features, skips, vector, **options):
        x = self.middle(features)
        vector = jnp.broadcast_to(vector, (*x.shape[:3], vector.shape[-1]))
        x = self.fusion(jnp.concatenate([x, vector], -1))
        x = self.fusion_norm(selu(x), **options)
        for conv, norm, skip in zip(self.decoder, self.decoder_norms, skips[::-1], strict=True):
            x = conv(x).repeat(2, 1).repeat(2, 2)
            x = norm(selu(jnp.concatenate([x, skip], -1)), **options)
        x = self.last_norm(selu(self.last[0](x)), **options)
        return image + self.last[1](x)

    def _check(self, image, norm_set):
        _check_size(image, self.size, pooled=self.pooled, stride=_STRIDE)
        if norm_set not in range(self.norm_sets):
            raise ValueError(
                f"norm_set must be an int below norm_sets, {self.norm_sets}, got {norm_set!r}"
            )


class DPECritic(nn.Module):
    """The discriminator: convolution, leaky ReLU, instance norm, six times; 1,122,689 parameters.

    Attributes:
      width: channels of the first layer; the widest have 8 times as many.
      size: side of the square photos, a multiple of 32; from 64 where a norm is last.
      pooled: average over positions in place of the convolution over all of them, without the norm
        before it: photos of any multiple of 32, and fewer parameters. (The mean of an instance
        norm's output is its shift, whatever the photo.)
      norm: "instance"; or "none", with He initialisation, so that the signal lasts: instance norm
        hides the brightness and contrast of a whole photo.
    """

    width: int = 16
    size: int = 512
    pooled: bool = False
    norm: str = "instance"

    def __post_init__(self):
        _check_positive(self, "width", "size")
        _check_multiple(self.size, _CRITIC_STRIDE)
        if self.norm not in _CRITIC_NORMS:
            raise ValueError(f"norm must be one of {_CRITIC_NORMS}, got {self.norm!r}")
        normed = self.norm == "instance" and not self.pooled
        if normed and self.size < 2 * _CRITIC_STRIDE:
            raise ValueError(
                f"size must be at least {2 * _CRITIC_STRIDE}, got {self.size}: of smaller photos "
                "one position is left after the strides, where instance norm gives 0"
            )
        super().__post_init__()

    def example_inputs(self):
        """Arguments of `__call__`, for initialisation."""
        return (jnp.zeros((1, self.size, self.size, 3)),)

    @nn.compact
    @reverse_mode_convolution.reverse_mode()
    def __call__(self, image):
        """Scores photos.

        Args:
          image: `[b, size, size, 3]`; values outside [0, 1] are not clipped.

        Returns:
          `[b]`, the larger the more like a photo of the critic's domain; unbounded.
        """
        _check_size(image, self.size, pooled=self.pooled, stride=_CRITIC_STRIDE)
        initial = _INIT if self.norm == "instance" else convolutions.truncated_normal(2.0)
        x, factors = image, (1, 2, 4, 8, 8, 8)
        for i, factor in enumerate(factors):
            kernel, stride = (5, 2) if i else (3, 1)
            width = factor * self.width
            conv = MirroredConvolution(width, kernel, stride, initial, name=f"conv_{i}")
            x = convolutions.leaky_relu(conv(x))
            averaged = self.pooled and i == len(factors) - 1
            if self.norm == "instance" and not averaged:
                x = norms.InstanceNorm(1e-5, name=f"norm_{i}")(x, norms.moments(x))
        side = 1 if self.pooled else self.size // _CRITIC_STRIDE
        last = convolutions.Linear(
            1, side, padding="VALID", activate=False, kernel_init=initial, name="last"
        )
        return last(x).mean((1, 2, 3))


def _mirrored(image, size):
    """Continues photos `[b, h, w, 3]` to a size, below and to the right."""
    for axis, target in zip((1, 2), size, strict=True):
        index = resize.mirrored_index(image.shape[axis], target)
        image = jnp.take(image, index, axis=axis)
    return image


def _check_positive(module, *names):
    for name in names:
        value = getattr(module, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a positive int, got {value!r}")


def _check_multiple(size, stride):
    if size % stride:
        raise ValueError(f"size must be a multiple of {stride}, got {size}")


def _check_size(image, size, *, pooled, stride):
    height, width = image.shape[1:3]
    if pooled and (height % stride or width % stride):
        raise ValueError(
            f"image must have sides that are multiples of {stride}, got {height} x {width}"
        )
    if not pooled and (height, width) != (size, size):
        raise ValueError(
            f"this network takes photos of {size} x {size} pixels (its size), got "
            f"{height} x {width}; pooled=True takes other multiples of {stride}"
        )

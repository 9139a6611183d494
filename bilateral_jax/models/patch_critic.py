"""PatchGAN: a critic that scores overlapping patches of an image, 70 x 70 pixels as published.

It is fully convolutional, so it takes images of any size, and a score depends on one patch (with
instance norm also on the moments of the whole image); its map of scores is averaged by the losses.

References: Isola, Zhu, Zhou and Efros 2017, "Image-to-image translation with conditional
adversarial networks", section 3.2.2; Zhu, Park, Isola and Efros 2017, "Unpaired image-to-image
translation using cycle-consistent adversarial networks", section 4, and the published code, which
has a bias in every layer and no gains in its norms; Miyato et al. 2018, "Spectral normalization for
generative adversarial networks".
"""

import functools

import flax.linen as nn
import jax.numpy as jnp

from bilateral_jax.models.layers import convolutions, norms, reverse_mode_convolution, spectral

NORMS = ("instance", "spectral", "none")
_EPSILON = 1e-5  # PyTorch's


class PatchCritic(nn.Module):
    """The discriminator: 4 x 4 convolutions, strided, then two of stride 1; 2,764,737 parameters.

    Every convolution but the last is followed by a leaky ReLU; instance norm stands before it, but
    for the first.

    Attributes:
      input_channels: 3 for colours, 1 for grey.
      width: channels of the first convolution; each further one has twice as many, up to 8 times.
      strided: convolutions of stride 2. A patch has 70 pixels with 3, 34 with 2 and 16 with 1.
      norm: "instance", without gain and shift; or "spectral": no instance norm, and the kernels of
        all convolutions are divided by their largest singular value, which bounds the slope of the
        critic without a penalty; or "none", for a critic with a penalty: instance norm hides the
        brightness and the contrast of an image.
    """

    input_channels: int = 3
    width: int = 64
    strided: int = 3
    norm: str = "instance"

    def __post_init__(self):
        super().__post_init__()
        for name in ("input_channels", "width", "strided"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a positive int, got {value!r}")
        if self.norm not in NORMS:
            raise ValueError(f"norm must be one of {NORMS}, got {self.norm!r}")

    def example_inputs(self):
        """Arguments of `__call__` of the smallest size, for initialisation."""
        return (jnp.zeros((1, self._smallest, self._smallest, self.input_channels)),)

    @property
    def _smallest(self):
        """Side of an image that leaves one score."""
        return 3 * 2**self.strided

    @nn.compact
    @reverse_mode_convolution.reverse_mode()
    def __call__(self, image):
        """Scores the patches of images.

        Args:
          image: `[b, h, w, input_channels]`, both sides at least 24 (3 * 2^strided); values outside
            [0, 1] are not clipped.

        Returns:
          `[b, h / 8 - 2, w / 8 - 2]` (2^strided in place of 8, rounded down), the larger the more
          like a patch of a real image; unbounded.
        """
        self._check(image)
        linear = functools.partial(
            convolutions.Linear,
            kernel_size=4,
            padding=((1, 1), (1, 1)),
            activate=False,
            kernel_init=nn.initializers.normal(0.02),
            kernel_map=spectral.normalise if self.norm == "spectral" else None,
        )
        x = image
        for i in range(self.strided + 1):
            stride = 2 if i < self.strided else 1
            x = linear(self.width * min(2**i, 8), stride=stride, name=f"conv_{i}")(x)
            if i and self.norm == "instance":
                x = norms.InstanceNorm(_EPSILON, affine=False)(x, norms.moments(x))
            x = convolutions.leaky_relu(x)
        return linear(1, name="last")(x)[..., 0]

    def _check(self, image):
        if image.shape[-1] != self.input_channels:
            raise ValueError(
                f"image must have {self.input_channels} channels (input_channels), got shape "
                f"{tuple(image.shape)}"
            )
        if min(image.shape[1:3]) < self._smallest:
            raise ValueError(
                f"image must have at least {self._smallest} rows and columns for {self.strided} "
                f"strided convolutions, got {image.shape[1]} x {image.shape[2]}"
            )

"""Base of networks that predict a colour transform from a low-res input and render it per pixel."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from bilateral_jax import resize
from bilateral_jax.models import inference_methods
from bilateral_jax.models.layers import image_features
from bilateral_jax.ops import bilateral

# Where a pixel lies along an axis of a grid. "integer_division": the published kernels of
# LUTwithBGrid and SVDLUT divide the pixel's index by (size - 1) as integers, which gives 0 but for
# the last row or column, 1; their weights were trained with it.
POSITIONS = ("align_corners", "integer_division")


class AdaptiveTransform(inference_methods.RenderedByWindow, nn.Module):
    """A low-res input of 256 x 256 gives a colour transform, which is applied in tiles.

    Sub-classes have `coefficients(lowres, *, train, dropout_key)` and `render(coefficients, image,
    *, window, train)`.
    """

    net_input_size = image_features.SIDE
    lowres_method = "bilinear"

    @property
    def inference_method(self):
        """By grid."""
        return inference_methods.ByGrid(self.net_input_size, self.lowres_method)

    def example_inputs(self):
        """Arguments of `__call__` of the smallest size, for initialisation."""
        return jnp.zeros((1, self.net_input_size, self.net_input_size, 3)), jnp.zeros((1, 2, 2, 3))

    def __call__(self, lowres, image, *, window: Any = None, dropout_key: Any = None):
        """Enhances images, given their low-res inputs.

        Args:
          lowres: `[b, 256, 256, 3]` in [0, 1].
          image: `[b, h, w, 3]` in [0, 1].
          window: where `image` lies in the image that `lowres` shows whole: (top, left,
            full_height, full_width), or an int array `[b, 4]`; None if it is the whole.
          dropout_key: random key of the dropout in training; None for none.

        Returns:
          `[b, h, w, 3]`.
        """
        return self.render(self.coefficients(lowres, dropout_key=dropout_key), image, window=window)

    def enhance(self, image):
        """Enhances whole images `[b, h, w, 3]`; the low-res input is made here."""
        small = resize.resize(image, self.net_input_size, method=self.lowres_method)
        return self(small, image)


def check_positions(value):
    """Checks a network's field `positions`.

    Args:
      value: the field.

    Raises:
      ValueError: it is none of `POSITIONS`.
    """
    if value not in POSITIONS:
        raise ValueError(f"positions must be one of {POSITIONS}, got {value!r}")


def slice_channels(grids, image, *, window: Any = None, positions: str = "align_corners"):
    """Slices a bilateral grid for each colour channel, with that channel as the guide.

    Args:
      grids: `[b, 3, gh, gw, gd, f]`, nodes at 0 and 1 on every axis.
      image: `[b, h, w, 3]` in [0, 1].
      window: where the image lies in the whole, as for `bilateral.bilateral_slice`.
      positions: one of `POSITIONS`.

    Returns:
      `[b, h, w, 3, f]`.
    """
    if positions == "align_corners":
        slices = [
            bilateral.bilateral_slice(
                grids[:, i], image[..., i], feature_axes=1, window=window, convention=positions
            )
            for i in range(3)
        ]
        return jnp.stack(slices, axis=-2)
    down, right, bottom_row, right_column = _last(image, window)

    def curve(row, column, pixels):
        return slice_channels(grids[:, :, row:][:, :, :1, column:][:, :, :, :1], pixels)

    values = jnp.where(down, curve(-1, 0, bottom_row), curve(0, 0, image))
    rightmost = jnp.where(down, curve(-1, -1, right_column), curve(0, -1, right_column))
    return jnp.where(right, rightmost, values)


def _last(image, window):
    """The whole image's last row and last column: where they are in `image`, and their pixels.

    Returns:
      (bool `[b, h, 1, 1, 1]`, bool `[b, 1, w, 1, 1]`, `[b, 1, w, 3]`, `[b, h, 1, 3]`). Pixels of a
      row or column that is not in `image` are others. An image of one row has no last row.
    """
    if window is None:
        # Extents may be symbolic, in a program exported for any size.
        window = jnp.stack([jnp.asarray(n, jnp.int32) for n in (0, 0, *image.shape[1:3])])
    window = jnp.broadcast_to(jnp.atleast_2d(jnp.asarray(window)), (image.shape[0], 4))
    marks, pixels = [], []
    for axis, length in ((1, image.shape[1]), (2, image.shape[2])):
        start, extent = window[:, axis - 1], window[:, axis + 1]
        last = jnp.where(extent > 1, extent - 1 - start, -1)
        shape = [image.shape[0], 1, 1, 1, 1]
        shape[axis] = length
        marks.append((jnp.arange(length)[None] == last[:, None]).reshape(shape))
        index = jnp.clip(last, 0, length - 1).reshape(-1, 1, 1, 1)
        pixels.append(jnp.take_along_axis(image, index, axis=axis))
    return *marks, *pixels

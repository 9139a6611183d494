"""The three networks of HDRNet: a grid from a low-res input, a full-resolution guide, slice, apply.

A coefficient network predicts a bilateral grid of 3x4 affine colour matrices from the low-res
input; a guide gives every full-resolution pixel its depth in the grid; the matrix sliced there is
applied to the pixel's colour. Hyper-parameters have their original names and defaults; additional
ones come last and default to the original's behaviour, so `HDRNetCurves()` is the published
network.

Reference: Gharbi, Chen, Barron, Hasinoff, Durand, "Deep Bilateral Learning for Real-Time Image
Enhancement", 2017.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from bilateral_jax import resize
from bilateral_jax.models import inference_methods
from bilateral_jax.models.layers import coefficients, corner_aligned, guides
from bilateral_jax.ops import bilateral, guided

# What "recommended" changes, and what it brought on the held-out demo photos after 250 steps of
# configs/demo.py (4 variants per photo; mean PSNR, the untouched input has 18.1 dB):
# - identity_start: paper 19.5 dB, with it 22.9-24.2 dB (two seeds). A random start spends its first
#   steps on unlearning random colours.
# - lowres_method "area": no gain in PSNR beyond the seeds' spread (paper 19.8, both 23.0-23.5 dB).
#   It is there for stability: moving a 1080p photo by one pixel changes the low-res input by 0.016
#   (rms) against 0.037, noise of 0.02 by 0.004 against 0.020.
PRESETS = {
    "paper": {},
    "recommended": {"identity_start": True, "lowres_method": "area"},
}

# Other short types need a scaled loss, which training/step.py does not have.
DTYPES = ("float32", "bfloat16")


class HDRNet(inference_methods.RenderedByWindow, nn.Module):
    """Base class of the three networks.

    Attributes:
      net_input_size: side of the square low-resolution input; `spatial_bin` times a power of two.
      spatial_bin: grid cells per side.
      luma_bins: depth of the grid; multiplies every channel width too.
      channel_multiplier: multiplies every channel width.
      guide_complexity: hidden width of a pointwise guide.
      batch_norm: batch norm in the coefficient network.
      lowres_method: how the low-res input is resized, see `bilateral_jax/resize.py`.
      identity_start: start from the identity transform instead of a random one.
      dtype: of the hidden features of the coefficient network, "float32" or "bfloat16"; parameters,
        grid, guide, slice and apply are float32 in both (a bfloat16 guide has 128 values between
        0.5 and 1, and so has an image).
      axis_name: pmap axis whose devices share batch statistics in training; not a property of the
        weights.
    """

    net_input_size: int = 256
    spatial_bin: int = 16
    luma_bins: int = 8
    channel_multiplier: int = 1
    guide_complexity: int = 16
    batch_norm: bool = False
    lowres_method: str = "nearest_legacy"
    identity_start: bool = False
    dtype: str = "float32"
    axis_name: str | None = None

    # Not fields: rows of the predicted matrices; depths as in `layers/coefficients.py`.
    n_out = 3
    global_depth = 1
    local_depth = 1

    def __post_init__(self):
        for name in (
            "net_input_size",
            "spatial_bin",
            "luma_bins",
            "channel_multiplier",
            "guide_complexity",
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a positive int, got {value!r}")
        if self.net_input_size not in (self.spatial_bin * 2**k for k in range(1, 16)):
            raise ValueError(
                f"net_input_size must be spatial_bin ({self.spatial_bin}) times 2, 4, 8, ..., "
                f"got {self.net_input_size}"
            )
        if self.lowres_method not in resize.METHODS:
            raise ValueError(
                f"lowres_method must be one of {resize.METHODS}, got {self.lowres_method!r}"
            )
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {DTYPES}, got {self.dtype!r}")
        super().__post_init__()

    def setup(self):
        self.coefficient_network = coefficients.CoefficientNetwork(
            n_out=self.n_out,
            net_input_size=self.net_input_size,
            spatial_bin=self.spatial_bin,
            luma_bins=self.luma_bins,
            channel_multiplier=self.channel_multiplier,
            batch_norm=self.batch_norm,
            start=self.starting_matrix() if self.identity_start else None,
            dtype=self.dtype,
            axis_name=self.axis_name,
            global_depth=self.global_depth,
            local_depth=self.local_depth,
        )
        self.guide_network = self.make_guide()

    @property
    def inference_method(self):
        """By grid."""
        return inference_methods.ByGrid(self.net_input_size, self.lowres_method)

    def make_guide(self) -> nn.Module:
        """Builds the guide network; each of the three differs here."""
        raise NotImplementedError

    def starting_matrix(self) -> tuple:
        """The matrix of `identity_start`: the identity in the rows of the full-resolution level."""
        rows = np.eye(self.n_out, coefficients.N_IN, 3 - self.n_out)
        return tuple(map(tuple, rows.tolist()))

    def __call__(self, lowres_image, fullres, *, window: Any = None, train: bool = False):
        """Enhances images, given their low-res inputs.

        Args:
          lowres_image: `[b, n, n, 3]`, n = `net_input_size`, values in [0, 1].
          fullres: `[b, h, w, 3]`, any size, values in [0, 1].
          window: where `fullres` lies in the image that `lowres_image` shows whole: (top, left,
            full_height, full_width), or an int array `[b, 4]`; None if it is the whole.
          train: use and update batch statistics.

        Returns:
          `[b, h, w, 3]`, unbounded.
        """
        return self.render(
            self.coefficients(lowres_image, train=train), fullres, window=window, train=train
        )

    def coefficients(self, lowres_image, *, train: bool = False):
        """Predicts the grid: `[b, n, n, 3]` to `[b, gh, gw, gd, n_out, 4]`, offset last."""
        side = self.net_input_size
        if lowres_image.shape[1:] != (side, side, 3):
            raise ValueError(
                f"lowres must be [b, {side}, {side}, 3], got {tuple(lowres_image.shape)}"
            )
        return self.coefficient_network(lowres_image, train=train)

    def guide(self, fullres, *, train: bool = False):
        """Computes the full-resolution guide: `[b, h, w, 3]` to `[b, h, w]` in [0, 1]."""
        return self.guide_network(fullres, train=train)

    def render(self, grid, fullres, *, window: Any = None, train: bool = False):
        """Applies a grid to full-resolution images: guide, slice, apply; see `__call__`."""
        network = self.guide_network
        parameters = network.parameters(fullres, train=train)
        return guided.guided_slice_apply(
            grid, fullres, guide=network.kind, parameters=parameters, window=window
        )

    def enhance(self, image):
        """Enhances whole images `[b, h, w, 3]`; the low-res input is made here."""
        small = resize.resize(image, self.net_input_size, method=self.lowres_method)
        return self(small, image)

    def example_inputs(self):
        """Arguments of `__call__` of the smallest size, for initialisation."""
        return jnp.zeros((1, self.net_input_size, self.net_input_size, 3)), jnp.zeros((1, 4, 4, 3))


class HDRNetCurves(HDRNet):
    """The network of the paper: guide by a colour matrix and three curves."""

    def make_guide(self):
        return guides.CurvesGuide()


class HDRNetPointwiseNNGuide(HDRNet):
    """The network of most published scripts: guide by two pointwise layers."""

    def make_guide(self):
        return guides.PointwiseGuide(self.guide_complexity, self.axis_name)


class HDRNetGaussianPyrNN(HDRNet):
    """Three levels, full to quarter resolution, each with its guide and matrices, added up.

    With a `window` the levels are those of the crop, at half and quarter its position: away from
    the crop's border they are the whole image's up to half a pixel of the coarser level. Tiles
    are exact, since they include the neighbouring rows and columns.

    Reference: Gharbi et al. 2017, section 4 (multi-scale variant); level rules as in the published
    code.
    """

    n_out = 9

    def make_guide(self):
        return [guides.PointwiseGuide(self.guide_complexity, self.axis_name) for _ in range(3)]

    def guide(self, fullres, *, train: bool = False):
        """The guide of the full-resolution level: `[b, h, w, 3]` to `[b, h, w]` in [0, 1]."""
        return self.guide_network[0](fullres, train=train)

    def levels(self, fullres):
        """Computes the three levels of the image pyramid, finest first."""
        axes = [corner_aligned.whole(size) for size in fullres.shape[1:3]]
        return [fullres, *corner_aligned.coarser(fullres, *axes)]

    def render(self, grid, fullres, *, window: Any = None, train: bool = False):
        axes = [corner_aligned.whole(size) for size in fullres.shape[1:3]]
        levels = self.levels(fullres)
        windows = [_coarser_window(window, k, levels[k].shape) for k in range(3)]
        return self._merge(grid, levels, *axes, windows, train=train)

    def plan_tile(
        self, corner: tuple[int, int], size: tuple[int, int], full_size: tuple[int, int]
    ) -> inference_methods.TilePlan:
        (rows, row_spans, row_axis), (columns, column_spans, column_axis) = (
            corner_aligned.tile(*axis) for axis in zip(corner, size, full_size, strict=True)
        )
        windows = [
            [[row.start, column.start, row.total, column.total]]
            for row, column in zip(row_spans, column_spans, strict=True)
        ]
        weights = {"rows": row_axis.weights, "columns": column_axis.weights}
        return inference_methods.TilePlan(
            rows, columns, weights | {"windows": np.asarray(windows, np.int32)}
        )

    def render_tile(self, grid, pixels, arrays: dict):
        axes = [corner_aligned.tile_axis(arrays[name]) for name in ("rows", "columns")]
        middle, coarsest = corner_aligned.coarser(pixels, *axes)
        levels = [*corner_aligned.crop_tile(pixels, middle, *axes), coarsest]
        return self._merge(grid, levels, *axes, list(arrays["windows"]), train=False)

    def _merge(self, grid, levels, rows, columns, windows, *, train):
        """Slices every level and adds them up, each resized to the next finer one."""
        total = None
        for k in (2, 1, 0):
            guide = self.guide_network[k](levels[k], train=train)
            part = grid[..., 3 * (2 - k) : 3 * (3 - k), :]
            level = bilateral.slice_apply(part, guide, levels[k], window=windows[k])
            total = (
                level if total is None else level + corner_aligned.finer(total, k, rows, columns)
            )
        return total


def _coarser_window(window, level, shape):
    """Moves the window of a crop to a coarser level of the crop; `shape` is the level's."""
    if window is None or not level:
        return window
    static = isinstance(window, tuple)
    numbers = np if static else jnp
    top, left, height, width = numbers.moveaxis(numbers.asarray(window), -1, 0) // 2**level
    height, width = numbers.maximum(height, 1), numbers.maximum(width, 1)
    top = numbers.clip(top, 0, numbers.maximum(height - shape[1], 0))
    left = numbers.clip(left, 0, numbers.maximum(width - shape[2], 0))
    moved = numbers.stack([top, left, height, width], -1)
    return tuple(int(v) for v in moved) if static else moved

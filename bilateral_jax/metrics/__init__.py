"""Metrics of enhanced images against their targets, and of predicted against human ratings.

The image metrics (`psnr`, `ssim`, `ms_ssim`, `delta_e`, `delta_e_2000`, `perceptual`) take
display-referred sRGB in [0, data_range], by default [0, 1], as `[*b, h, w, c]` and return one value
per example, `[*b]`; `training/evaluation.py` averages them over a data set. Published numbers are
measured on 8-bit images: apply `round_to_8bit` to both first. `valid` masks leave out padding.
Gradients are finite everywhere but in `psnr` of equal images, yet the metrics are not meant as
losses. `psnr_from_mse` converts an error that is already averaged. JAX compiles a program for each
image size; `psnr_by_tiles`, `ssim_by_tiles`, `ms_ssim_by_tiles`, `delta_e_by_tiles` and
`delta_e_2000_by_tiles` give one value of one image `[h, w, c]` by a program that fits all sizes.

The rating metrics (`linear_correlation`, `rank_correlation`, `binary_accuracy`) take the scores of
a whole data set, `[n]`, and return one number.

Receives predictions and targets [*b, h, w, c] from experiments.
Hands values [*b] to training/evaluation.py.
"""

from bilateral_jax.metrics.color_difference import (
    ciede2000,
    delta_e,
    delta_e_2000,
    delta_e_2000_by_tiles,
    delta_e_by_tiles,
)
from bilateral_jax.metrics.feature_distance import perceptual
from bilateral_jax.metrics.psnr import psnr, psnr_by_tiles, psnr_from_mse
from bilateral_jax.metrics.rating_agreement import (
    binary_accuracy,
    linear_correlation,
    rank_correlation,
)
from bilateral_jax.metrics.rounding import round_to_8bit
from bilateral_jax.metrics.ssim import ms_ssim, ms_ssim_by_tiles, ssim, ssim_by_tiles

__all__ = [
    "binary_accuracy",
    "ciede2000",
    "delta_e",
    "delta_e_2000",
    "delta_e_2000_by_tiles",
    "delta_e_by_tiles",
    "linear_correlation",
    "ms_ssim",
    "ms_ssim_by_tiles",
    "perceptual",
    "psnr",
    "psnr_by_tiles",
    "psnr_from_mse",
    "rank_correlation",
    "round_to_8bit",
    "ssim",
    "ssim_by_tiles",
]


def __dir__() -> list[str]:
    return __all__

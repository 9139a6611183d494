"""How close an enhanced picture is to its target: one number per picture.

Every function of pictures takes display-referred sRGB in [0, 1] as `[*b, h, w, c]` and returns
`[*b]`; averaging over a data set is the caller's business (`training/evaluation.py` weights, sums
and divides once). A published number is measured on 8-bit pictures: pass both sides through
`round_to_8bit` first. Gradients exist and are finite everywhere but in `psnr` of equal pictures,
yet none of the functions is meant as a loss.

`ratings.py` is about predicted scores of pictures instead: it compares those of a whole set with
what people gave.

Receives prediction and target [*b, h, w, c] from experiments.
Hands values [*b] to training/evaluation.py.
"""

from bilateral_jax.metrics.checks import psnr, round_to_8bit
from bilateral_jax.metrics.color_difference import ciede2000, delta_e, delta_e_2000
from bilateral_jax.metrics.feature_distance import perceptual
from bilateral_jax.metrics.rating_agreement import agreement, linear_correlation, rank_correlation
from bilateral_jax.metrics.structural_similarity import ms_ssim, ssim

__all__ = [
    "agreement",
    "ciede2000",
    "delta_e",
    "delta_e_2000",
    "linear_correlation",
    "ms_ssim",
    "perceptual",
    "psnr",
    "rank_correlation",
    "round_to_8bit",
    "ssim",
]

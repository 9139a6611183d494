"""How close an enhanced picture is to its target: one number per picture.

Every function takes display-referred sRGB in [0, 1] as `[*b, h, w, c]` and returns `[*b]`;
averaging over a data set is the caller's business (`training/evaluation.py` weights, sums and
divides once). A published number is measured on 8-bit pictures: pass both sides through
`round_to_8bit` first. Gradients exist and are finite everywhere but in `psnr` of equal pictures,
yet none of the functions is meant as a loss.

Receives prediction and target [*b, h, w, c] from experiments.
Hands values [*b] to training/evaluation.py.
"""

from bilateral_jax.metrics.difference import ciede2000, delta_e, delta_e_2000
from bilateral_jax.metrics.perception import perceptual
from bilateral_jax.metrics.pictures import psnr, round_to_8bit
from bilateral_jax.metrics.structure import ms_ssim, ssim

__all__ = [
    "ciede2000",
    "delta_e",
    "delta_e_2000",
    "ms_ssim",
    "perceptual",
    "psnr",
    "round_to_8bit",
    "ssim",
]

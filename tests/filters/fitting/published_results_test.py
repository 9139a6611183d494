"""`fit_grid` on published results of an operator that is no affine grid; 5 s."""

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

import bilateral_jax as bj
from bilateral_jax import color, resize
from tests import assets


def test_a_published_result_is_reproduced_from_half_its_size():
    """NPEA, fitted to the pair at half the size."""
    folder = assets.path("fivek_sample")
    image, target = (
        np.asarray(Image.open(folder / name / "a0535.png").convert("RGB"), np.float32) / 255
        for name in ("input", "npea")
    )
    small = [resize.resize_pixels(array, (170, 256), method="area") for array in (image, target)]
    grid = jax.jit(bj.fit_grid)(*small)
    out = bj.slice_apply(grid, color.luminance(image), jnp.asarray(image))
    error = float(jnp.mean((jnp.clip(out, 0, 1) - target) ** 2))
    assert -10 * np.log10(error) > 40  # measured 46.8 dB; the input has 18.3 dB

"""UPE: enhancement of underexposed photos by an illumination map from a bilateral grid.

The network is HDRNet's with more convolutions behind the splat. It predicts the illumination S
instead of the image, which is the quotient R = I / (S + .001). Since I <= S <= 1, every value of R
lies in [I / 1.001, 1): the method brightens and never darkens. Where the photo is dark, the
division amplifies steps of S, so S stays in float; `rendering="script"` rounds it to 8 bits, with
the banding that this brings, as the published script did.

Reference: Wang, Zhang, Fu, Shen, Zheng and Jia 2019, "Underexposed photo enhancement using deep
illumination estimation"; layers, constants and the order of minimum and maximum as in the published
graph. (The paper puts a VGG-16 in front of the grid, the published graph does not.)
"""

from typing import Any

import jax
import jax.numpy as jnp

from bilateral_jax.models import hdrnet

DIVISION = 1e-3
RENDERINGS = ("graph", "script", "direct")

_HALF = ((0.0, 0.0, 0.0, 0.5),) * 3


def reflectance(image, illumination) -> jax.Array:
    """Divides a photo by its illumination: I / (S + .001), finite for black and for unlit pixels.

    Args:
      image: float `[..., 3]`, values in [0, 1].
      illumination: float `[..., 3]`, not below 0.

    Returns:
      float `[..., 3]`; 0 where the image is 0.
    """
    return image / (illumination + DIVISION)


class UPE(hdrnet.HDRNetCurves):
    """The published network (998,816 parameters): 12 global and 6 local convolutions.

    Attributes:
      rendering: what the sliced transform is used for. "graph": the illumination in float, as in
        training; "script": in 8 bits and without the constant, as in the published script;
        "direct": the transform is the image, the paper's network without illumination.
      identity_start: start from an illumination of one half everywhere (every pixel doubled)
        instead of a random one; with "direct" from the identity.
      ...: the others are HDRNet's.
    """

    rendering: str = "graph"

    global_depth = 6
    local_depth = 5

    def __post_init__(self):
        if self.rendering not in RENDERINGS:
            raise ValueError(f"rendering must be one of {RENDERINGS}, got {self.rendering!r}")
        super().__post_init__()

    def starting_matrix(self):
        return super().starting_matrix() if self.rendering == "direct" else _HALF

    def illumination(self, grid, fullres, *, window: Any = None, train: bool = False):
        """Computes the illumination map: max(min(transform, 1), I), in float.

        Args:
          grid: `[b, gh, gw, gd, 3, 4]`.
          fullres: `[b, h, w, 3]`, values in [0, 1].
          window: see `hdrnet.HDRNet.__call__`.
          train: likewise.

        Returns:
          `[b, h, w, 3]`, between `fullres` and 1.
        """
        transform = super().render(grid, fullres, window=window, train=train)
        # The 0 is for pixels below 0 only, so that no quotient meets its pole.
        return jnp.maximum(jnp.minimum(transform, 1), jnp.maximum(fullres, 0))

    def render(self, grid, fullres, *, window: Any = None, train: bool = False):
        """Enhances full-resolution images by a grid: see `hdrnet.HDRNet.__call__`."""
        if self.rendering == "direct":
            return super().render(grid, fullres, window=window, train=train)
        illumination = self.illumination(grid, fullres, window=window, train=train)
        if self.rendering == "graph":
            return reflectance(fullres, illumination)
        return _script(fullres, illumination)


def _script(image, illumination):
    """Divides as the published script; where it has 0 / 0, black stays black."""
    quantised = jnp.floor(illumination * 255) / 255
    divisor = jnp.clip(quantised, image, 1)
    lit = divisor > 0
    return jnp.where(lit, image / jnp.where(lit, divisor, 1), 0)

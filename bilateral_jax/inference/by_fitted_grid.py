"""Enhancement by a grid that is fitted to what a network does to a reduced image.

The network sees the image at low resolution only, whatever the full size; rendering then costs what
it costs the networks that predict a grid. What the network does must be close to one affine map of
the colours per cell: detail that it adds or removes is not in the grid.
"""

import flax.linen as nn
import jax

from bilateral_jax import color, resize
from bilateral_jax.filters.fitting import affine_grid
from bilateral_jax.inference import by_grid
from bilateral_jax.models import inference_methods
from bilateral_jax.models import model as model_lib
from bilateral_jax.ops import bilateral

# Relative residual of a fit above which the image would not be the network's: 100 times that at
# which the iterations stop by default.
_LARGEST_RESIDUAL = 1e-2


class LumaRenderer(inference_methods.RenderedByWindow, nn.Module):
    """Renders images from a fitted grid; the guide is the image's luma."""

    def render(self, grid, fullres, *, window=None):
        """Applies a grid `[b, gh, gw, gd, 3, 4]` to `[b, h, w, 3]` at the luma of its pixels."""
        return bilateral.slice_apply(grid, color.luminance(fullres), fullres, window=window)


def check_model(model) -> None:
    """Refuses a network to which no grid needs to be fitted.

    Args:
      model: a model.

    Raises:
      ValueError: its network predicts a grid itself, or declares no way to enhance an image.
    """
    if isinstance(inference_methods.declared(model.module), inference_methods.ByGrid):
        raise ValueError(
            f"{type(model.module).__name__} predicts a bilateral grid itself, from an input of "
            "low resolution; to fit another grid to it (--grid) would only make it less exact"
        )


def enhance(model, image, *, run, method, side, tile_rows, conditions, strength=None):
    """Enhances an image by a fitted grid; see `enhancement.enhance`.

    Args:
      model: a model of any network that `check_model` accepts.
      image: `[h, w, 3]`, checked.
      run: the function by which the network enhances the reduced image.
      method: what the network declares.
      side: pixels of the reduced image along its longer side; less than the image's.
      tile_rows: rows of a tile when rendering, or None.
      conditions: as `run` takes them.
      strength: weight of the result, the rest is the image's; None for the result alone.

    Returns:
      `[h, w, 3]` of the image's dtype.

    Raises:
      ValueError: the fit does not converge; an image of integers for which the network gives NaN.
    """
    small = resize.resize_pixels(image, reduced_size(image.shape[:2], side), method="area")
    target = run(model, small, method=method, tile_rows=None, conditions=conditions)
    grid, residual = _fit(small, target)
    # NaN is left to the rendering, which knows what may hold it.
    if float(residual) > _LARGEST_RESIDUAL:
        raise ValueError(
            f"no grid could be fitted to the network's result: residual {float(residual):.2g} "
            f"after all iterations, at most {_LARGEST_RESIDUAL:g} is accepted"
        )
    renderer = model_lib.Model({}, {}, LumaRenderer())
    return by_grid.render(renderer, grid[None], image, tile_rows=tile_rows, strength=strength)


def reduced_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Returns the height and width of an image whose longer side is reduced.

    Args:
      size: its height and width.
      side: of the result, at most the longer of the two.
    """
    scale = side / max(size)
    return tuple(max(1, round(length * scale)) for length in size)


@jax.jit
def _fit(image, target):
    return affine_grid.fit_grid(image, target, return_residual=True)

"""Enhancement by a bilateral grid: one low-res input, then row tiles of the full-resolution image.

Each row tile gets exactly the values that the whole image would give it. Pixels stay in the
integers of the file until their tile is rendered and come back rounded, so a 200 megapixel photo
needs its own bytes twice and a few tiles of floats.
"""

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax import pixels as pixels_lib
from bilateral_jax import resize
from bilateral_jax.inference import tiles

# About 20 MB of working memory: above 32 MB a C library gives it back after each tile, and clearing
# its pages for the next one takes as long as the arithmetic.
_TILE_PIXELS = 1 << 19
# Columns, and the rows of a small image, are rounded up to multiples: a folder of images of many
# sizes then needs few compiled functions.
_STEP = 64


def enhance(model, image, *, method, tile_rows, conditions):
    """Enhances an image by its bilateral grid, in row tiles; see `enhancement.enhance`.

    Args:
      model: a model whose network declares `inference_methods.ByGrid`.
      image: `[h, w, 3]`, checked.
      method: what it declares.
      tile_rows: rows of a tile, or None.
      conditions: empty.

    Returns:
      `[h, w, 3]` of the image's dtype.
    """
    del conditions
    size = _tile_size(image, tile_rows)
    small = _lowres(image, method)
    grid = _coefficients(model, small[None])
    if not jnp.issubdtype(image.dtype, jnp.floating):
        tiles.check_not_nan(_has_nan(model, grid))
    out = np.empty_like(image)

    def rendered():
        for start in range(0, len(image), size[0]):
            plan = model.module.plan_row_tile(start, size, image.shape[:2])
            source = tiles.cut(image, plan.rows, plan.columns, border="repeat")
            yield start, _render(model, grid, source[None], plan.arrays)

    for start, tile in tiles.one_ahead(rendered()):
        tiles.store(out, tile[0], top=start)
    return out


def _tile_size(image, tile_rows):
    """Returns the rows and columns of a tile."""
    height, columns = (-(-size // _STEP) * _STEP for size in image.shape[:2])
    if tile_rows is None:
        tile_rows = -(-_TILE_PIXELS // columns)
    return min(height, -(-tile_rows // 4) * 4), columns


def _lowres(image, method):
    return resize.resize_pixels(image, method.net_input_size, method=method.lowres_method)


@jax.jit
def _coefficients(model, small):
    return model.apply(small, method="coefficients")


@jax.jit
def _has_nan(model, grid):
    """Whether weights or grid are not finite; cheaper than to look at all pixels."""
    leaves = jax.tree.leaves((model, grid))
    return ~jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]))


@jax.jit
def _render(model, grid, rows, arrays):
    """Renders a row tile from and to the image's own dtype."""
    out = model.apply(grid, pixels_lib.as_float(rows), arrays, method="render_row_tile")
    return pixels_lib.to_dtype(out, rows.dtype)

"""Enhancement by a bilateral grid: one low-res input, then tiles of the full-resolution image.

Each tile gets exactly the values that the whole image would give it, so all images are rendered in
tiles of two sizes: two compiled programs serve a folder of images of any sizes. Pixels stay in the
integers of the file until their tile is rendered and come back rounded, so a 200 megapixel photo
needs its own bytes twice and a few tiles of floats.
"""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax import pixels as pixels_lib
from bilateral_jax import resize
from bilateral_jax.inference import tiles
from bilateral_jax.ops.xla import column_tiles

# Rows and columns. The large one is about 20 MB of working memory: above 32 MB a C library gives it
# back after each tile, and clearing its pages for the next one takes as long as the arithmetic.
_LARGE, _SMALL = (512, 1024), (256, 256)
# A window may reach beyond its image by so many columns, so a narrow image has tiles whose width is
# its own, rounded up to a multiple of this; an image narrower than a large tile has small tiles.
_BEYOND = column_tiles.BEYOND
_OVERHEAD = 1 << 15  # of a tile: as much time as so many pixels


def enhance(model, image, *, method, tile_rows, conditions, strength=None):
    """Enhances an image by its bilateral grid, in tiles; see `enhancement.enhance`.

    Args:
      model: a model whose network declares `inference_methods.ByGrid`.
      image: `[h, w, 3]`, checked.
      method: what it declares.
      tile_rows: rows of a tile, or None.
      conditions: empty.
      strength: weight of the network's result, the rest is the image's; None for the result alone.

    Returns:
      `[h, w, 3]` of the image's dtype.
    """
    del conditions
    grid = _coefficients(model, _lowres(image, method)[None])
    return render(model, grid, image, tile_rows=tile_rows, strength=strength)


def render(model, grid, image, *, tile_rows, strength=None):
    """Renders an image from its grid, in tiles.

    Args:
      model: a model whose network plans and renders tiles, as `inference_methods.ByGrid` says.
      grid: `[1, gh, gw, gd, n_out, n_columns]`.
      image: `[h, w, 3]`, checked.
      tile_rows: as for `enhance`.
      strength: as for `enhance`.

    Returns:
      `[h, w, 3]` of the image's dtype.

    Raises:
      ValueError: an image of integers, and weights or a grid that are not finite.
    """
    full_size = image.shape[:2]
    size = _tile_size(full_size, tile_rows)
    if not jnp.issubdtype(image.dtype, jnp.floating):
        tiles.check_not_nan(_has_nan(model, grid))
    out = np.empty_like(image)

    def rendered():
        for corner in itertools.product(*map(_starts, full_size, size)):
            plan = model.module.plan_tile(corner, size, full_size)
            source = tiles.cut(image, plan.rows, plan.columns, border="repeat")
            blend = None
            if strength is not None:
                own = [(first, first + count) for first, count in zip(corner, size, strict=True)]
                blend = tiles.cut(image, *own, border="repeat")[None], np.float32(strength)
            yield corner, _render(model, grid, source[None], plan.arrays, blend)

    for (top, left), tile in tiles.one_ahead(rendered()):
        tiles.store(out, tile[0], top=top, left=left)
    return out


def _tile_size(full_size, tile_rows):
    """Returns the rows and columns of a tile: the cheaper of the two sizes, or the rows given."""

    def cost(size):
        count = math.prod(-(-whole // part) for whole, part in zip(full_size, size, strict=True))
        return count * (math.prod(size) + _OVERHEAD)

    height, width = (-(-side // _BEYOND) * _BEYOND for side in full_size)
    rows, columns = min([_SMALL, _LARGE] if width >= _LARGE[1] else [_SMALL], key=cost)
    if tile_rows is not None:
        rows = min(-(-tile_rows // 4) * 4, height)
    return rows, min(columns, width)


def _starts(full, size):
    """Returns the tiles' first rows or columns; the last tile is moved back into the image."""
    last = max(-(-(full - size) // 4) * 4, 0)
    return [*range(0, last, size), last]


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
def _render(model, grid, pixels, arrays, blend):
    """Renders a tile from and to the image's own dtype.

    `blend` is None, or the tile's own pixels and the weight of the result against them.
    """
    out = model.apply(grid, pixels_lib.as_float(pixels), arrays, method="render_tile")
    if blend is not None:
        own, strength = pixels_lib.as_float(blend[0]), blend[1]
        out = own + strength * (out - own)
    return pixels_lib.to_dtype(out, pixels.dtype)

"""Other ways to look colours up in a 3D table: what `bj.table_lookup` was chosen over.

All take a table `[n, n, n, c]` and an image `[h, w, 3]`; derivatives are JAX's own. Nodes at 0 and
1, colours inside [0, 1].
"""

import itertools

import jax.numpy as jnp
import numpy as np
from jax import lax
from PIL import Image, ImageFilter

_CHUNK = 1 << 12  # pixels of a dense product


def gathers(table, image):
    """One gather per corner of the cell, of the whole image at once."""
    lower, fraction = _cells(table, image)
    total = 0
    for corner in itertools.product((0, 1), repeat=3):
        weight = 1
        for axis, upper in enumerate(corner):
            weight = weight * (fraction[..., axis] if upper else 1 - fraction[..., axis])
        index = tuple(lower[..., axis] + corner[axis] for axis in range(3))
        total += weight[..., None] * table.at[index].get(mode="promise_in_bounds")
    return total


def window(table, image):
    """One gather per pixel, of its whole cell."""
    lower, fraction = _cells(table, image)
    axes = lax.GatherDimensionNumbers(
        offset_dims=tuple(range(image.ndim - 1, image.ndim + 3)),
        collapsed_slice_dims=(),
        start_index_map=(0, 1, 2),
    )
    sizes = (2, 2, 2, table.shape[-1])
    cells = lax.gather(table, lower, axes, sizes, mode="promise_in_bounds")
    for axis in range(3):
        low, high = jnp.moveaxis(cells, image.ndim - 1, 0)
        upper = fraction[..., axis].reshape(*image.shape[:-1], *(1,) * (3 - axis))
        cells = low + (high - low) * upper
    return cells


def dense(table, image):
    """Tents of all nodes, as products of matrices, some thousand pixels at a time."""
    nodes = len(table)

    def chunk(colors):
        node = jnp.arange(nodes, dtype=jnp.float32)[None, None]
        distance = jnp.abs(colors[..., None] * (nodes - 1) - node)
        red, green, blue = jnp.moveaxis(jnp.maximum(1 - distance, 0), 1, 0)
        plane = (red[:, :, None] * green[:, None]).reshape(len(colors), -1)
        columns = plane @ table.reshape(nodes * nodes, -1)
        return (columns.reshape(len(colors), nodes, -1) * blue[..., None]).sum(1)

    pixels = image.reshape(-1, 3)
    padded = jnp.pad(pixels, ((0, -len(pixels) % _CHUNK), (0, 0))).reshape(-1, _CHUNK, 3)
    out = lax.map(chunk, padded)
    return out.reshape(-1, out.shape[-1])[: len(pixels)].reshape(*image.shape[:-1], -1)


def pillow(table, image):
    """Pillow's filter of an 8-bit image: the call to time."""
    nodes = table.shape[0]
    values = np.asarray(table).transpose(2, 1, 0, 3).reshape(-1, 3)
    lookup = ImageFilter.Color3DLUT(nodes, values.tolist())
    photo = Image.fromarray(np.round(np.asarray(image) * 255).astype(np.uint8))
    return lambda: photo.filter(lookup)


def _cells(table, image):
    position = image * (len(table) - 1)
    lower = jnp.minimum(jnp.floor(position), len(table) - 2)
    return lower.astype(jnp.int32), position - lower

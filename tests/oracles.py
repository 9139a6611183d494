"""The definitions as float64 NumPy loops that share no line with the library."""

import itertools
import math

import numpy as np


def _taps(position, cells, boundary):
    """(cell, weight) of the two cells around a position."""
    if boundary == "clamp":
        position = min(max(position, 0.0), cells - 1.0)
    lower = math.floor(position)
    pairs = [(lower, 1.0 - (position - lower)), (lower + 1, position - lower)]
    if boundary == "clamp":
        return [(min(cell, cells - 1), weight) for cell, weight in pairs]
    return [(cell % cells, weight) for cell, weight in pairs]


def _slopes(position, cells, boundary, scale):
    """Derivatives of `_taps` in the guide; at a kink the one to the right, 0 where it clamps."""
    if boundary == "clamp" and not 0.0 <= position < cells - 1.0:
        return []
    lower = math.floor(position)
    return [(lower % cells, -scale), ((lower + 1) % cells, scale)]


def _pixel_position(index, full, cells, convention):
    if convention == "half_pixel":
        return (index + 0.5) * cells / full - 0.5
    if convention == "corner_nodes":
        return (index + 0.5) * (cells - 1) / full
    return index * (cells - 1) / (full - 1) if full > 1 else 0.0


def contributions(guide, grid_shape, *, window, convention, boundary, order):
    """Yields (y, x, cell, weight) for every pixel of a guide `[h, w]` and every cell it touches."""
    height, width = guide.shape
    top, left, full_height, full_width = window or (0, 0, height, width)
    gh, gw, gd = grid_shape
    scale = gd if convention == "half_pixel" else gd - 1
    shift = 0.5 if convention == "half_pixel" else 0.0
    for y, x in itertools.product(range(height), range(width)):
        rows = _taps(_pixel_position(y + top, full_height, gh, convention), gh, boundary[0])
        columns = _taps(_pixel_position(x + left, full_width, gw, convention), gw, boundary[1])
        depth = float(guide[y, x]) * scale - shift
        if order == 0:
            depths = _taps(depth, gd, boundary[2])
        else:
            depths = _slopes(depth, gd, boundary[2], scale)
        for (i, wi), (j, wj), (k, wk) in itertools.product(rows, columns, depths):
            yield y, x, (i, j, k), wi * wj * wk


def slice_loops(
    grid,
    guide,
    *,
    window=None,
    convention="half_pixel",
    boundary=("clamp", "clamp", "clamp"),
    order=0,
):
    """`[h, w, *features]` from a grid `[gh, gw, gd, *features]` and a guide `[h, w]`."""
    grid = np.asarray(grid, np.float64)
    out = np.zeros((*guide.shape, *grid.shape[3:]))
    for y, x, cell, weight in contributions(
        guide,
        grid.shape[:3],
        window=window,
        convention=convention,
        boundary=boundary,
        order=order,
    ):
        out[y, x] += weight * grid[cell]
    return out


def splat_loops(
    values,
    guide,
    grid_shape,
    *,
    window=None,
    convention="half_pixel",
    boundary=("clamp", "clamp", "clamp"),
    order=0,
):
    """`[gh, gw, gd, *features]` from values `[h, w, *features]`."""
    values = np.asarray(values, np.float64)
    out = np.zeros((*grid_shape, *values.shape[2:]))
    for y, x, cell, weight in contributions(
        guide, grid_shape, window=window, convention=convention, boundary=boundary, order=order
    ):
        out[cell] += weight * values[y, x]
    return out


def apply_loops(coefficients, image):
    """`[h, w, n_out]` from matrices `[h, w, n_out, n_in (+ 1)]` and an image `[h, w, n_in]`."""
    coefficients, image = np.asarray(coefficients, np.float64), np.asarray(image, np.float64)
    height, width, n_out, columns = coefficients.shape
    out = np.zeros((height, width, n_out))
    for y, x, o, j in itertools.product(*map(range, (height, width, n_out, columns))):
        factor = image[y, x, j] if j < image.shape[-1] else 1.0
        out[y, x, o] += coefficients[y, x, o, j] * factor
    return out


def bilateral_filter_loops(image, guide, sigma_space, sigma_range):
    """The bilateral filter as its definition, every pixel against every pixel."""
    image, guide = np.asarray(image, np.float64), np.asarray(guide, np.float64)
    rows, columns = np.mgrid[: guide.shape[0], : guide.shape[1]]
    out = np.zeros_like(image)
    for y, x in itertools.product(*map(range, guide.shape)):
        distance = (rows - y) ** 2 + (columns - x) ** 2
        weights = np.exp(
            -distance / (2 * sigma_space**2) - (guide - guide[y, x]) ** 2 / (2 * sigma_range**2)
        )
        out[y, x] = (weights[..., None] * image).sum((0, 1)) / weights.sum()
    return out


def table_lookup_loops(table, image, interpolation):
    """`[h, w, c]` from a table `[n_red, n_green, n_blue, c]` and colours `[h, w, 3]`."""
    table = np.asarray(table, np.float64)
    out = np.zeros((*image.shape[:2], table.shape[3]))
    for y, x in itertools.product(*map(range, image.shape[:2])):
        lower, fraction = [], []
        for value, nodes in zip(image[y, x], table.shape[:3], strict=True):
            position = min(max(float(value), 0.0), 1.0) * (nodes - 1)
            lower.append(min(int(position), max(nodes - 2, 0)))
            fraction.append(position - lower[-1])
        if interpolation == "trilinear":
            for corner in itertools.product((0, 1), repeat=3):
                weight = math.prod(f if up else 1 - f for f, up in zip(fraction, corner))
                node = tuple(k + up for k, up in zip(lower, corner))
                out[y, x] += weight * table[node] if weight else 0
            continue
        # A walk from the lower to the upper node of the cell, the largest fraction first.
        previous, node = 1.0, list(lower)
        for axis in sorted(range(3), key=lambda axis: -fraction[axis]):
            out[y, x] += (previous - fraction[axis]) * table[tuple(node)]
            previous = fraction[axis]
            node[axis] += previous > 0
        out[y, x] += previous * table[tuple(node)]
    return out

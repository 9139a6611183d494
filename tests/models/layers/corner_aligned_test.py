"""Halving and doubling with aligned corners: against loops, and in row tiles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax.models.layers import corner_aligned

pytestmark = pytest.mark.usefixtures("compiled_quickly")

SIZES = [1, 2, 3, 4, 5, 6, 7, 9, 16, 33, 50]


def resize_by_loops(column, target):
    """Linear interpolation with both corners aligned; the rule of the original's resize."""
    size, out = len(column), np.zeros(target)
    for i in range(target):
        position = i * (size - 1) / (target - 1) if target > 1 else 0.0
        lower = min(int(position), size - 1)
        upper = min(lower + 1, size - 1)
        out[i] = column[lower] + (column[upper] - column[lower]) * (position - lower)
    return out


@pytest.mark.parametrize("size", SIZES)
def test_halve(size):
    column = np.random.default_rng(0).uniform(size=size).astype(np.float32)
    axis = corner_aligned.whole(size)
    actual = corner_aligned.halve(jnp.asarray(column)[:, None], axis.weights["halve_1"], axis=0)[
        :, 0
    ]
    np.testing.assert_allclose(actual, resize_by_loops(column, max(size // 2, 1)), atol=6e-6)


@pytest.mark.parametrize("size", SIZES)
def test_double(size):
    column = np.random.default_rng(0).uniform(size=corner_aligned.half(size)).astype(np.float32)
    axis = corner_aligned.whole(size)
    actual = corner_aligned.double(jnp.asarray(column)[None, :], axis.weights["double_0"], axis=-1)[
        0
    ]
    np.testing.assert_allclose(actual, resize_by_loops(column, size), atol=6e-6)


@pytest.mark.parametrize("total", [1, 3, 18, 37, 64, 101])
@pytest.mark.parametrize("count", [1, 7, 16])
def test_row_tiles_equal_the_whole(total, count):
    """Down to the coarsest level and up again, for every row tile, whatever lies outside."""
    width = 9
    image = jnp.asarray(np.random.default_rng(0).uniform(size=(1, total, width, 3)), jnp.float32)

    def there_and_back(finest, rows, columns, crop=None):
        middle, coarsest = corner_aligned.coarser(finest, rows, columns)
        if crop:
            finest, middle = crop(finest, middle, rows, columns)
        up = middle + corner_aligned.finer(coarsest, 1, rows, columns)
        return finest + corner_aligned.finer(up, 0, rows, columns)

    @jax.jit
    def run(source, *weights):
        return there_and_back(
            source, *map(corner_aligned.tile_axis, weights), corner_aligned.crop_tile
        )

    whole = there_and_back(image, corner_aligned.whole(total), corner_aligned.whole(width))
    (left, right), _, columns = corner_aligned.tile(0, 16, width)
    around = image[:, :, np.clip(np.arange(left, right), 0, width - 1)]
    for start in range(0, total, 4):
        (first, stop), spans, rows = corner_aligned.tile(start, count, total)
        source = around[:, np.clip(np.arange(first, stop), 0, total - 1)]
        tile = run(source, rows.weights, columns.weights)
        assert spans[0] == corner_aligned.Span(start, count, total)
        kept = min(count, total - start)
        expected = whole[:, start : start + kept]
        np.testing.assert_allclose(tile[:, :kept, :width], expected, atol=1e-6)


def test_row_tiles_start_at_multiples_of_four():
    with pytest.raises(ValueError, match="start must be a multiple of 4, got 6"):
        corner_aligned.tile(6, 8, 40)

"""Resizing: TensorFlow 1's and Pillow's rules, area averages, NumPy against JAX."""

import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import pixels, resize
from tests import assets


def area_by_loops(row, target):
    """Average of the part of the row under each output pixel."""
    size, out = len(row), np.zeros(target)
    for i in range(target):
        start, stop = i * size / target, (i + 1) * size / target
        for x in range(size):
            out[i] += row[x] * max(0.0, min(stop, x + 1) - max(start, x))
    return out / (size / target)


def test_nearest_indices_are_tensorflows():
    with np.load(assets.path("golden", "hdrnet", "resize_nearest.npz")) as tables:
        for name in tables:
            size = int(name.split("_")[2])
            np.testing.assert_array_equal(
                resize.weights(size, 256, "nearest_legacy")[0], tables[name]
            )


def test_nearest_copies_pixels():
    image = jnp.arange(5 * 7 * 3, dtype=jnp.float32).reshape(5, 7, 3)
    small = resize.resize(image, 3, method="nearest_legacy")
    np.testing.assert_array_equal(small, image[np.ix_([0, 1, 3], [0, 2, 4])])


@pytest.mark.parametrize("size, target", [(7, 3), (64, 16), (100, 33), (5, 5), (300, 256)])
def test_area_averages_what_each_pixel_covers(size, target):
    row = np.random.default_rng(0).uniform(size=size)
    np.testing.assert_allclose(
        resize.matrix(size, target, "area") @ row, area_by_loops(row, target), atol=1e-6
    )


@pytest.mark.parametrize("size, target", [(1, 4), (2, 5), (3, 8)])
def test_area_interpolates_linearly_when_it_enlarges(size, target):
    row = np.random.default_rng(0).uniform(size=size)
    centres = (np.arange(target) + 0.5) * size / target - 0.5
    expected = np.interp(centres, np.arange(size), row)
    np.testing.assert_allclose(resize.matrix(size, target, "area") @ row, expected, atol=1e-6)


@pytest.mark.parametrize("size, target", [(1, 4), (3, 8), (8, 3), (100, 7)])
def test_bilinear_interpolates_linearly_at_any_size(size, target):
    row = np.random.default_rng(0).uniform(size=size)
    centres = (np.arange(target) + 0.5) * size / target - 0.5
    expected = np.interp(centres, np.arange(size), row)
    np.testing.assert_allclose(resize.matrix(size, target, "bilinear") @ row, expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 3), (40, 17, 3), (2, 3, 90, 31, 2)])
def test_area_resize_is_the_two_matrices(shape):
    image = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    rows, columns = (resize.matrix(shape[axis], 20, "area") for axis in (-3, -2))
    expected = np.einsum("yh,xw,...hwc->...yxc", rows, columns, image)
    small = resize.resize(jnp.asarray(image), 20, method="area")
    assert small.shape == (*shape[:-3], 20, 20, shape[-1])
    np.testing.assert_allclose(small, expected, atol=1e-6)


@pytest.mark.parametrize("method", resize.METHODS)
def test_a_constant_stays_and_the_same_size_is_the_identity(method):
    for size in (1, 3, 16, 57):
        np.testing.assert_allclose(
            resize.resize(jnp.full((size, 4, 3), 0.3), 16, method=method), 0.3, rtol=1e-6
        )
    image = jnp.asarray(np.random.default_rng(0).uniform(size=(16, 16, 3)), jnp.float32)
    np.testing.assert_array_equal(resize.resize(image, 16, method=method), image)


def test_area_removes_what_nearest_aliases():
    stripes = jnp.tile(jnp.asarray([0.0, 1.0]), 64)[None, :, None] * jnp.ones((128, 1, 3))
    assert float(resize.resize(stripes, 64, method="nearest_legacy").max()) == 0
    np.testing.assert_allclose(resize.resize(stripes, 64, method="area"), 0.5, atol=1e-6)


def test_an_unknown_method_is_named():
    with pytest.raises(ValueError, match="method must be one of .*got 'cubic'"):
        resize.resize(jnp.zeros((4, 4, 3)), 2, method="cubic")


@pytest.mark.parametrize("method", resize.METHODS)
@pytest.mark.parametrize("size", [(20, 20), (9, 31), (60, 5)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
def test_numpy_equals_jax(method, size, dtype):
    image = np.random.default_rng(0).uniform(size=(37, 22, 3))
    image = (image * pixels.white(dtype)).astype(dtype)
    small = resize.resize_pixels(image, size, method=method)
    assert small.dtype == np.float32 and small.shape == (*size, 3)
    expected = resize.resize(jnp.asarray(pixels.as_float(image)), size, method=method)
    np.testing.assert_allclose(small, expected, atol=1e-6)


def test_white_stays_white():
    for dtype in (np.uint8, np.uint16):
        image = np.full((33, 47, 3), np.iinfo(dtype).max, dtype)
        np.testing.assert_allclose(resize.resize_pixels(image, 16), 1, rtol=4e-7)


def test_infinite_pixels_stay_local():
    image = np.zeros((32, 32, 3), np.float32)
    image[0, 0] = np.inf
    assert np.isfinite(resize.resize_pixels(image, 8)).sum() == 3 * 63


@pytest.mark.parametrize(("size", "target"), [(1, 5), (3, 3), (3, 4), (3, 20), (7, 4)])
def test_mirroring_is_numpys_symmetric_padding(size, target):
    expected = np.pad(np.arange(size), (0, max(target - size, 0)), mode="symmetric")[:target]
    np.testing.assert_array_equal(resize.mirrored_index(size, target), expected)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((300, 200), (512, 341)),
        ((1000, 3000), (171, 512)),
        ((1, 4000), (1, 512)),
        ((2, 2), (512,) * 2),
    ],
)
def test_the_longer_side_is_fitted(size, expected):
    assert resize.fitted_size(*size, 512) == expected

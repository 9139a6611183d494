"""How far a NaN or an infinity in the data reaches: as far as `reference` lets it, everywhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bilateral_jax as bj
from bilateral_jax.filters import guided
from bilateral_jax.kernels import gpu, pallas, tpu
from bilateral_jax.ops import nonfinite, reference
from tests import cases
from tests.kernels import gpu_test

CASE = cases.Case("nan", (4, 5, 6), (12, 17))
BAD = (np.nan, np.inf)
LOST = {
    "grid": (1, 2, 3, 1, 2),
    "image": (3, 4, 1),
}


def lost(array):
    return ~np.isfinite(np.asarray(array))


@pytest.mark.parametrize("boundary", ["clamp", "wrap"])
@pytest.mark.parametrize("bad", BAD)
def test_a_cell_reaches_the_pixels_between_its_neighbours(bad, boundary):
    grid, guide, image, _ = CASE.arrays()
    grid[LOST["grid"]] = bad

    def run(implementation):
        options = {"boundary": boundary, "implementation": implementation}
        out = bj.slice_apply(grid, guide, image, **options)
        vjp = jax.vjp(lambda guide: bj.slice_apply(grid, guide, image, **options), guide)[1]
        return out, vjp(jnp.ones_like(out))[0]

    for actual, expected in zip(run("xla"), run("reference"), strict=True):
        assert 0 < lost(expected).sum() < lost(expected).size / 3
        np.testing.assert_array_equal(lost(actual), lost(expected))
        kept = ~lost(expected)
        scale = np.abs(expected[kept]).max()
        np.testing.assert_allclose(actual[kept] / scale, expected[kept] / scale, atol=1e-5)


@pytest.mark.parametrize("implementation", cases.IMPLEMENTATIONS)
def test_a_pixel_reaches_its_eight_cells(implementation):
    grid, guide, image, cotangent = CASE.arrays()
    options = {"implementation": implementation}
    clean = bj.splat(image, guide, CASE.grid_shape, **options)
    image[LOST["image"]] = np.nan
    out = bj.splat(image, guide, CASE.grid_shape, **options)
    assert 0 < lost(out)[..., 1].sum() <= 8 and not lost(out)[..., 0].any()
    np.testing.assert_allclose(out[~lost(out)], clean[~lost(out)], atol=1e-5)
    _, vjp = jax.vjp(lambda grid: bj.slice_apply(grid, guide, image, **options), grid)
    assert 0 < lost(vjp(cotangent)[0]).any((-1, -2)).sum() <= 8


@pytest.mark.parametrize("implementation", cases.IMPLEMENTATIONS)
def test_a_hole_of_weight_0_reaches_nothing(implementation):
    _, guide, image, _ = CASE.arrays()
    weights = np.ones(CASE.size, np.float32)
    weights[3, 4] = 0
    image[3, 4] = 0
    options = {"weights": weights, "implementation": implementation}
    expected = bj.splat(image, guide, CASE.grid_shape, **options)
    image[3, 4] = np.nan
    for actual, right in zip(bj.splat(image, guide, CASE.grid_shape, **options), expected):
        np.testing.assert_array_equal(actual, right)


@pytest.mark.parametrize("kernels", [gpu, tpu], ids=["gpu", "tpu"])
@pytest.mark.filterwarnings("ignore:The Pallas Triton backend:DeprecationWarning")
def test_kernels_reach_as_far(kernels):
    case = cases.Case("small", (2, 3, 4), (8, 16))
    arrays, options = gpu_test.problem(case)
    grid, guide, image = (np.array(array) for array in arrays["slice_apply"])
    grid[0, 0, 1, 1] = np.nan
    operands = {"grid": grid, "guide": guide, "image": image}
    with pallas.interpreted():
        function = nonfinite.local("slice_apply", kernels.slice_apply)
        actual = jax.jit(lambda operands: function(**operands, **options))(operands)
    expected = reference.slice_apply(**operands, **options)
    assert 0 < lost(expected).sum() < expected.size
    np.testing.assert_array_equal(lost(actual), lost(expected))


def test_row_tiles_of_the_second_way_agree_with_one_pass(monkeypatch):
    monkeypatch.setattr(nonfinite, "_TILE_BYTES", 1 << 14)
    case = cases.Case("tall", (4, 5, 6), (29, 7))
    grid, guide, image, cotangent = case.arrays(batch=(2,))
    image[0, 0, 0] = grid[1, 0, 0, 0] = np.nan

    def run(implementation):
        options = {"implementation": implementation}
        out, vjp = jax.vjp(lambda *a: bj.slice_apply(*a, image, **options), grid, guide)
        return out, *vjp(cotangent)

    for actual, expected in zip(run("xla"), run("reference"), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_blur_reaches_as_far_as_its_kernel():
    grid = np.zeros((16, 5, 4), np.float32)
    grid[3, 2, 1] = np.nan
    assert lost(bj.blur(grid, (1.0, 0.0, 0.0)))[:, 2, 1].sum() == 8  # rows 0 to 7
    assert lost(bj.blur(grid, (1.0, 0.0, 0.0))).sum() == 8
    assert lost(bj.blur(grid, (1.0, 0.0, 0.0), boundary="wrap")).sum() == 9
    gradient = jax.grad(lambda grid: jnp.nansum(bj.blur(grid, 1.0)))(grid)
    assert not lost(gradient).any()


def test_filters_lose_their_windows_alone():
    rng = np.random.default_rng(0)
    image = rng.random((96, 128)).astype(np.float32)
    image[0, 0] = np.nan
    smooth = guided.smooth(image, image[..., None], radius=3, epsilon=1e-3)
    assert lost(smooth).sum() == 7 * 7
    guide = rng.random((96, 128)).astype(np.float32)
    out = bj.bilateral_filter(image[..., None], guide, sigma_space=4.0, sigma_range=0.2)
    assert 0 < lost(out).sum() and not lost(out)[24:].any() and not lost(out)[:, 24:].any()


def test_bilateral_filter_of_float16_sums_in_float32():
    image = jnp.ones((512, 768, 1), jnp.float16)
    guide = jnp.full((512, 768), 0.5, jnp.float16)
    out = bj.bilateral_filter(image, guide, sigma_space=400.0, sigma_range=0.5)
    assert out.dtype == jnp.float16
    np.testing.assert_allclose(out, 1, atol=1e-3)


@pytest.mark.parametrize("boundary", ["clamp", "wrap"])
@pytest.mark.parametrize("grid_shape", [(3, 4, 5), (3, 4, 1)])
def test_an_infinite_guide_is_judged_by_its_position(grid_shape, boundary):
    image = np.ones((6, 7, 3), np.float32)
    guide = np.full((6, 7), 0.5, np.float32)
    guide[0, 0] = np.inf
    options = {"boundary": boundary}
    splats = [
        bj.splat(image, guide, grid_shape, implementation=name, **options)
        for name in cases.IMPLEMENTATIONS
    ]
    assert all(np.isfinite(splat).all() for splat in splats)
    np.testing.assert_allclose(*splats, rtol=1e-6, atol=4e-6)
    slices = [
        bj.slice(np.ones(grid_shape, np.float32), guide, implementation=name, **options)
        for name in cases.IMPLEMENTATIONS
    ]
    np.testing.assert_array_equal(*map(lost, slices))
    assert lost(slices[0]).sum() == (boundary == "wrap")

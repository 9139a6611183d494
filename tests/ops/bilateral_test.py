"""slice, splat, apply and slice_apply against loops, published cases and their contracts."""

import functools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bilateral_jax as bj
from bilateral_jax import lattice
from tests import assets, cases, oracles

# Optimised programs are tested in ops/xla_test.py.
pytestmark = pytest.mark.usefixtures("compiled_quickly")

every_implementation = pytest.mark.parametrize("implementation", cases.IMPLEMENTATIONS)
every_case = pytest.mark.parametrize("case", cases.CASES, ids=str)


def close(actual, expected, tolerance=2e-6):
    """Largest difference, in units of the largest expected value (at least 1)."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape
    scale = max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(actual / scale, expected / scale, rtol=0, atol=tolerance)


@every_implementation
@every_case
def test_matches_loops_forward_and_backward(case, implementation):
    grid, guide, image, cotangent = case.arrays()
    options = case.options | {"implementation": implementation}

    @jax.jit  # one program: compiling is what this test costs
    def run(grid, guide, image, cotangent):
        sliced = bj.slice(grid, guide, **options)
        out, vjp = jax.vjp(lambda *args: bj.slice_apply(*args, **options), grid, guide, image)
        splatted = bj.splat(cotangent, guide, case.grid_shape, **options)
        return sliced, out, splatted, vjp(cotangent)

    sliced, out, splatted, (d_grid, d_guide, d_image) = run(grid, guide, image, cotangent)
    matrices = oracles.slice_loops(grid, guide, **case.options)
    close(sliced, matrices)
    close(out, oracles.apply_loops(matrices, image))
    close(splatted, oracles.splat_loops(cotangent, guide, case.grid_shape, **case.options), 4e-6)

    # The adjoint identity, for one column of the matrices: <slice(g), t> = <g, splat(t)>.
    there = np.vdot(np.asarray(sliced, np.float64)[..., 0], cotangent)
    back = np.vdot(grid[..., 0].astype(np.float64), splatted)
    assert abs(there - back) <= 1e-6 * np.linalg.norm(cotangent) * np.linalg.norm(grid)

    ones = np.ones((*case.size, 1))
    extended = np.concatenate([image, ones], -1) if case.offset else image
    outer = cotangent[..., :, None] * extended[..., None, :]
    close(d_grid, oracles.splat_loops(outer, guide, case.grid_shape, **case.options), 4e-6)
    slope = oracles.slice_loops(grid, guide, **case.options, order=1)
    close(d_guide, np.sum(oracles.apply_loops(slope, image) * cotangent, -1), 1e-5)
    close(d_image, np.einsum("yxoi,yxo->yxi", matrices[..., : case.n_in], cotangent))


@hypothesis.settings(max_examples=10)
@hypothesis.given(
    grid_shape=st.tuples(*[st.integers(1, 6)] * 3),
    size=st.tuples(*[st.integers(1, 14)] * 2),
    seed=st.integers(0, 1000),
)
def test_any_size_matches_loops(grid_shape, size, seed):
    case = cases.Case("drawn", grid_shape, size)
    grid, guide, image, _ = case.arrays(seed)
    expected = oracles.apply_loops(oracles.slice_loops(grid, guide), image)
    close(bj.slice_apply(grid, guide, image), expected)


# Published cases.


def published_cases():
    """Names of the op-level cases computed with the original kernels."""
    with np.load(assets.path("golden", "hdrnet", "slice_cases.npz")) as data:
        return {
            name: {key.split(".", 1)[1]: data[key] for key in data if key.startswith(name + ".")}
            for name in sorted({key.split(".")[0] for key in data})
        }


@every_implementation
def test_published_slice_cases(implementation):
    published = published_cases()
    assert len(published) == 12
    for name, case in published.items():
        guide, image, cotangent = case["guide"], case["image"], case["cotangent"]
        grid = case["grid"].reshape(*case["grid"].shape[:4], cotangent.shape[-1], -1)

        @jax.jit
        def run(grid, guide, image, cotangent):
            out, vjp = jax.vjp(
                lambda *args: bj.slice_apply(*args, implementation=implementation),
                grid,
                guide,
                image,
            )
            return out, *vjp(cotangent)

        out, d_grid, d_guide, d_image = run(grid, guide, image, cotangent.astype(np.float32))
        # The original's smoothed tent loses up to 1e-4 of the weight at a cell's centre.
        close(out, case["output"], 1.1e-4)
        close(d_grid, case["vjp_grid"].reshape(d_grid.shape), 2.1e-4)
        close(d_image, case["vjp_image"], 1.1e-4)
        depth = guide * grid.shape[3] - 0.5
        distance = np.abs(depth - np.round(depth))
        # Smoothing bends the slope by 1e-8 / 2 d^2: 2e-6 of it at a twentieth of a cell.
        away = (distance > 5e-2) & ~case["kink"].astype(bool)
        close(np.where(away, d_guide, 0), np.where(away, case["vjp_guide"], 0), 2e-4)
        assert away.mean() > 0.5 or "edges" in name or guide.size == 1, name
        if "google_cuda_f32_vjp_grid_WRONG" in case:
            wrong = case["google_cuda_f32_vjp_grid_WRONG"].reshape(d_grid.shape)
            assert np.abs(np.asarray(d_grid) - wrong).max() > 0.1, name


@every_implementation
def test_constant_grid_is_exact_at_cell_centres(implementation):
    """The exact tent's weights sum to 1; the original returns 0.9999 here."""
    guide = (np.arange(8, dtype=np.float32)[None] + 0.5) / 8
    out = bj.slice(np.ones((4, 4, 8, 1), np.float32), guide, implementation=implementation)
    close(out, np.ones_like(out), 3e-7)


# Guides that are not in [0, 1].


@every_implementation
def test_nan_affects_its_pixel_alone(implementation):
    case = cases.Case("nan", (3, 4, 5), (6, 17))
    grid, guide, image, cotangent = case.arrays(5)
    guide = np.clip(guide, 0, 1)
    lost = guide.copy()
    lost[2, 3] = np.nan

    def run(guide):
        out, vjp = jax.vjp(
            lambda *args: bj.slice_apply(*args, implementation=implementation), grid, guide, image
        )
        return out, *vjp(jnp.asarray(cotangent))

    clean, dirty = run(guide), run(lost)
    assert np.isnan(dirty[0][2, 3]).all()
    assert np.isfinite(dirty[1]).all()
    for index in (0, 2, 3):
        others = np.ones(guide.shape, bool)
        others[2, 3] = False
        np.testing.assert_array_equal(
            np.asarray(clean[index])[others], np.asarray(dirty[index])[others]
        )
    # The grid's gradient is that of the image without this pixel, even if its cotangent is NaN.
    without = cotangent.copy()
    without[2, 3] = 0
    expected = oracles.splat_loops(
        without[..., :, None] * np.concatenate([image, np.ones((6, 17, 1))], -1)[..., None, :],
        guide,
        case.grid_shape,
    )
    close(dirty[1], expected, 4e-6)
    poisoned = cotangent.copy()
    poisoned[2, 3] = np.nan
    splatted = bj.splat(poisoned, lost, case.grid_shape, implementation=implementation)
    close(splatted, oracles.splat_loops(without, guide, case.grid_shape), 4e-6)


@every_implementation
def test_infinite_guide_clamps(implementation):
    grid = np.random.default_rng(0).normal(size=(2, 2, 4, 3)).astype(np.float32)
    ends = bj.slice(grid, np.array([[0.0, 1.0]], np.float32), implementation=implementation)
    beyond = bj.slice(
        grid, np.array([[-np.inf, np.inf]], np.float32), implementation=implementation
    )
    np.testing.assert_array_equal(ends, beyond)


# Windows.


@every_implementation
@pytest.mark.parametrize("convention", lattice.CONVENTIONS)
def test_window_equals_the_crop_of_the_whole(implementation, convention):
    case = cases.Case("whole", (4, 5, 6), (43, 61))
    grid, guide, image, _ = case.arrays(6)
    options = {"implementation": implementation, "convention": convention}
    whole = bj.slice_apply(grid, guide, image, **options)
    total = np.zeros((*case.grid_shape, 3))
    for top, left, bottom, right in [(0, 0, 43, 30), (0, 30, 17, 61), (17, 30, 43, 61)]:
        crop = np.s_[top:bottom, left:right]
        window = (top, left, 43, 61)
        for form in (window, jnp.array(window)):
            part = bj.slice_apply(grid, guide[crop], image[crop], window=form, **options)
            close(part, np.asarray(whole)[crop], 2e-6)
        total += bj.splat(image[crop], guide[crop], case.grid_shape, window=window, **options)
    close(total, bj.splat(image, guide, case.grid_shape, **options), 4e-6)


@every_implementation
def test_one_window_per_example_in_one_compiled_call(implementation):
    case = cases.Case("crops", (4, 5, 6), (8, 10))
    grid, guide, image, cotangent = case.arrays(7, batch=(3,))
    windows = np.array([(0, 0, 8, 10), (5, 6, 20, 30), (12, 20, 20, 30)], np.int32)

    @jax.jit
    def run(grid, guide, image, windows):
        return jax.vjp(
            lambda *args: bj.slice_apply(*args, window=windows, implementation=implementation),
            grid,
            guide,
            image,
        )[1](jnp.asarray(cotangent))

    together = run(grid, guide, image, jnp.asarray(windows))
    for k, window in enumerate(windows):
        alone = functools.partial(bj.slice_apply, window=tuple(window.tolist()))
        _, vjp = jax.vjp(alone, grid[k], guide[k], image[k])
        for many, one in zip(together, vjp(jnp.asarray(cotangent[k])), strict=True):
            close(many[k], one, 5e-6)


# Leading axes, features, dtypes.


@every_implementation
def test_leading_axes_broadcast(implementation):
    rng = np.random.default_rng(8)
    grid = rng.normal(size=(2, 1, 3, 4, 5, 3, 4)).astype(np.float32)
    guide = rng.uniform(size=(3, 6, 7)).astype(np.float32)
    image = rng.uniform(size=(6, 7, 3)).astype(np.float32)
    out = bj.slice_apply(grid, guide, image, implementation=implementation)
    assert out.shape == (2, 3, 6, 7, 3)
    for i in range(2):
        for j in range(3):
            one = bj.slice_apply(grid[i, 0], guide[j], image, implementation=implementation)
            close(out[i, j], one, 1e-6)
    sliced = bj.slice(grid, guide[None, :1], implementation=implementation)
    assert sliced.shape == (2, 1, 6, 7, 3, 4)
    shared = bj.slice(grid[0, 0], guide, feature_axes=2, implementation=implementation)
    assert shared.shape == (3, 6, 7, 3, 4)
    close(shared[1], bj.slice(grid[0, 0], guide[1], implementation=implementation), 1e-6)
    many = bj.slice(grid[:, 0], guide[0], feature_axes=2, implementation=implementation)
    assert many.shape == (2, 6, 7, 3, 4)


def test_any_number_of_feature_axes():
    rng = np.random.default_rng(9)
    guide = rng.uniform(size=(6, 7)).astype(np.float32)
    for features in ((), (5,), (2, 3), (2, 1, 3)):
        grid = rng.normal(size=(3, 4, 5, *features)).astype(np.float32)
        out = bj.slice(grid, guide, feature_axes=len(features))
        close(out, oracles.slice_loops(grid, guide))
        values = rng.normal(size=(6, 7, *features)).astype(np.float32)
        close(bj.splat(values, guide, (3, 4, 5)), oracles.splat_loops(values, guide, (3, 4, 5)))


@every_implementation
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_in_and_out_with_float32_sums(implementation, dtype):
    case = cases.Case("half", (4, 4, 4), (64, 64))
    grid, guide, image, cotangent = (jnp.asarray(a, dtype) for a in case.arrays(10))
    run = jax.vjp(
        lambda *args: bj.slice_apply(*args, implementation=implementation), grid, guide, image
    )
    wide = jax.vjp(bj.slice_apply, *(a.astype(jnp.float32) for a in (grid, guide, image)))
    assert run[0].dtype == dtype
    unit = float(jnp.finfo(dtype).eps)
    close(run[0].astype(jnp.float32), wide[0], unit)
    gradients = run[1](cotangent)
    expected = wide[1](cotangent.astype(jnp.float32))
    for actual, exact in zip(gradients, expected, strict=True):
        assert actual.dtype == dtype
        # One rounding of the result; 256 terms per cell summed in half precision would lose more.
        close(actual.astype(jnp.float32), exact, 2 * unit)
    splatted = bj.splat(image, guide, (4, 4, 4), implementation=implementation)
    assert splatted.dtype == dtype


@every_implementation
def test_float64_stays_float64(implementation):
    case = cases.Case("double", (3, 4, 5), (7, 9))
    with jax.enable_x64(True):
        grid, guide, image, _ = (jnp.asarray(a, jnp.float64) for a in case.arrays(11))
        out = bj.slice_apply(grid, guide, image, implementation=implementation)
        assert out.dtype == jnp.float64
        expected = oracles.apply_loops(oracles.slice_loops(grid, guide), image)
        close(out, expected, 1e-14)


def test_homogeneous_splat_normalises():
    rng = np.random.default_rng(12)
    guide = rng.uniform(size=(20, 24)).astype(np.float32)
    weights = rng.uniform(0.5, 1, size=(20, 24)).astype(np.float32)
    values = np.full((20, 24, 2), 3.0, np.float32)
    grid, mass = bj.splat(values, guide, (4, 4, 4), weights=weights)
    assert grid.shape == (4, 4, 4, 2) and mass.shape == (4, 4, 4)
    close(bj.slice(grid, guide) / bj.slice(mass, guide)[..., None], values, 1e-6)
    close(mass, oracles.splat_loops(weights, guide, (4, 4, 4)))


def test_apply_matches_loops_with_and_without_offset():
    rng = np.random.default_rng(13)
    image = rng.uniform(size=(4, 5, 3)).astype(np.float32)
    for columns in (3, 4):
        matrices = rng.normal(size=(4, 5, 2, columns)).astype(np.float32)
        close(bj.apply(matrices, image), oracles.apply_loops(matrices, image))


@pytest.mark.parametrize(
    ("convention", "place"),
    [
        ("align_corners", lambda index, size: index / (size - 1)),  # nerfstudio
        ("corner_nodes", lambda index, size: (index + 0.5) / size),  # gsplat's trainer
    ],
    ids=["nerfstudio", "gsplat"],
)
def test_conventions_match_radiance_field_libraries(convention, place):
    """Luminance guide, nodes at 0 and 1, row-major matrices: against a plain transcription."""
    rng = np.random.default_rng(14)
    stored = rng.normal(size=(1, 12, 4, 5, 6)).astype(np.float32)  # [n, 12, gd, gh, gw]
    rgb = rng.uniform(size=(1, 9, 11, 3)).astype(np.float32)
    luma = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    grid = bj.grid_from_channels_first(stored)
    np.testing.assert_array_equal(bj.grid_to_channels_first(grid), stored)
    out = bj.slice_apply(grid, luma, rgb, convention=convention)

    expected = np.zeros_like(rgb)
    for y in range(9):
        for x in range(11):
            row, column = place(y, 9), place(x, 11)
            position = np.array([luma[0, y, x] * 3, row * 4, column * 5])
            matrix = np.zeros(12)
            low = np.floor(position).astype(int)
            for corner in np.ndindex(2, 2, 2):
                cell = low + corner
                weight = np.prod(1 - np.abs(position - cell))
                matrix += weight * stored[0, :, *np.minimum(cell, (3, 4, 5))]
            expected[0, y, x] = matrix.reshape(3, 4) @ np.append(rgb[0, y, x], 1)
    close(out, expected)


# Which axes are leading ones, and whether there is an offset.


@every_implementation
def test_slice_broadcasts_what_slice_apply_broadcasts(implementation):
    grid, guide, image, _ = cases.Case("stack", (3, 4, 5), (6, 7)).arrays(batch=(2,))
    for grids, guides in ((grid, guide[0]), (grid, guide), (grid[None], guide[:, None])):
        images = np.broadcast_to(image[0], (*guides.shape, 3))
        matrices = bj.slice(grids, guides, implementation=implementation)
        applied = bj.slice_apply(grids, guides, images, implementation=implementation)
        close(bj.apply(matrices, np.broadcast_to(images, (*applied.shape[:-1], 3))), applied, 2e-6)
    once = bj.slice(grid[0], guide, feature_axes=2, implementation=implementation)
    close(once[1], bj.slice(grid[0], guide[1], implementation=implementation))


def test_none_one_and_two_feature_axes_are_inferred():
    guide = np.zeros((6, 7), np.float32)
    for features in ((), (5,), (3, 4)):
        grid = np.zeros((2, 3, 4, *features), np.float32)
        assert bj.slice(grid, guide).shape == (6, 7, *features)
        assert bj.slice(grid[None], guide[None]).shape == (1, 6, 7, *features)
    three = np.zeros((2, 3, 4, 2, 3, 4), np.float32)
    assert bj.slice(three, guide, feature_axes=3).shape == (6, 7, 2, 3, 4)


def test_offset_false_says_that_a_fourth_channel_is_multiplied():
    rng = np.random.default_rng(16)
    grid = rng.normal(size=(2, 3, 4, 3, 4)).astype(np.float32)
    image = rng.uniform(size=(6, 7, 4)).astype(np.float32)
    out = bj.slice_apply(grid, GUIDE, image, offset=False)
    close(out, bj.apply(bj.slice(grid, GUIDE), image, offset=False), 2e-6)
    with_offset = bj.slice_apply(grid, GUIDE, image[..., :3], offset=True)
    np.testing.assert_array_equal(with_offset, bj.slice_apply(grid, GUIDE, image[..., :3]))


# Invalid arguments.

GRID = np.zeros((2, 3, 4, 3, 4), np.float32)
GUIDE = np.zeros((6, 7), np.float32)
IMAGE = np.zeros((6, 7, 3), np.float32)

MISTAKES = {
    "8-bit floats": (
        TypeError,
        "grid must be bfloat16, float16, float32 or float64, got float8_e4m3fn",
        lambda: bj.slice(jnp.asarray(GRID, jnp.float8_e4m3fn), GUIDE),
    ),
    "image with alpha": (
        ValueError,
        r"grid .* no offset column for an image of 4 channels; if its last channel is alpha",
        lambda: bj.slice_apply(GRID, GUIDE, np.zeros((6, 7, 4), np.float32)),
    ),
    "matrices beside an image with alpha": (
        ValueError,
        "coefficients .* no offset column for an image of 2 channels",
        lambda: bj.apply(np.zeros((6, 7, 1, 2), np.float32), np.zeros((6, 7, 2), np.float32)),
    ),
    "offset that the grid lacks": (
        ValueError,
        r"grid must end in \[n_out, 3\] .* offset=False",
        lambda: bj.slice_apply(GRID, GUIDE, IMAGE, offset=False),
    ),
    "guide with a trailing axis": (
        ValueError,
        r"guide must be one plane .* got shape \(6, 7, 1\); pass guide\[..., 0\]",
        lambda: bj.slice_apply(GRID, GUIDE[..., None], IMAGE),
    ),
    "guide in colour": (
        ValueError,
        r"guide must be one plane .* got shape \(6, 7, 3\)",
        lambda: bj.slice_apply(GRID, IMAGE, IMAGE),
    ),
    "guide in colour beside a grid": (
        ValueError,
        r"a guide has no channel axis",
        lambda: bj.slice(GRID, IMAGE),
    ),
    "one grid that may be a stack": (
        ValueError,
        "say with feature_axes",
        lambda: bj.slice(GRID, GUIDE[None]),
    ),
    "fractional grid shape": (
        ValueError,
        r"three positive ints \(gh, gw, gd\), got \(3.9, 4.9, 5.9\)",
        lambda: bj.splat(IMAGE, GUIDE, (3.9, 4.9, 5.9)),
    ),
    "channels that are no matrices": (
        ValueError,
        "n_out must be a positive int that divides the 13 channels",
        lambda: bj.grid_from_channels_first(np.zeros((13, 4, 5, 6), np.float32)),
    ),
    "integer image": (
        TypeError,
        r"image must be floating point .* got uint8; scale integer pixels",
        lambda: bj.slice_apply(GRID, GUIDE, IMAGE.astype(np.uint8)),
    ),
    "integer guide": (
        TypeError,
        "guide must be floating",
        lambda: bj.slice(GRID, GUIDE.astype(int)),
    ),
    "no array": (TypeError, "grid must be", lambda: bj.slice("grid", GUIDE)),
    "guide of one axis": (
        ValueError,
        r"guide must have the axes",
        lambda: bj.slice(GRID, GUIDE[0]),
    ),
    "grid of two axes": (ValueError, r"grid must have the axes", lambda: bj.slice(GUIDE, GUIDE)),
    "empty image": (ValueError, "length 0", lambda: bj.slice(GRID, GUIDE[:0])),
    "other size": (
        ValueError,
        r"image must have the guide's height and width \(5, 7\), got \(6, 7\)",
        lambda: bj.slice_apply(GRID, GUIDE[:5], IMAGE),
    ),
    "grid that does not fit": (
        ValueError,
        r"grid must end in \[n_out, 4\] .* image of 3 channels",
        lambda: bj.slice_apply(GRID[..., :2], GUIDE, IMAGE),
    ),
    "matrices that do not fit": (
        ValueError,
        r"coefficients must end in",
        lambda: bj.apply(np.zeros((6, 7, 3, 2), np.float32), IMAGE),
    ),
    "batches that do not match": (
        ValueError,
        r"grid .* beside leading axes \(3,\) .* leading axes must broadcast",
        lambda: bj.slice(np.zeros((2, 4, 4, 4, 1), np.float32), np.zeros((3, 6, 7), np.float32)),
    ),
    "window outside": (
        ValueError,
        r"window .* must hold the crop: its 6 x 7 pixels reach row 9",
        lambda: bj.slice(GRID, GUIDE, window=(3, 0, 8, 7)),
    ),
    "window before the image": (
        ValueError,
        "window",
        lambda: bj.slice(GRID, GUIDE, window=(-1, 0, 8, 7)),
    ),
    "window of three": (
        ValueError,
        "window must be four",
        lambda: bj.slice(GRID, GUIDE, window=(0, 0, 6)),
    ),
    "window of text": (ValueError, "window must be", lambda: bj.slice(GRID, GUIDE, window="all")),
    "window of floats": (
        ValueError,
        "window must be",
        lambda: bj.slice(GRID, GUIDE, window=np.zeros(4, np.float32)),
    ),
    "window batch": (
        ValueError,
        "window",
        lambda: bj.slice(GRID, GUIDE, window=np.zeros((3, 4), np.int32)),
    ),
    "grid shape": (
        ValueError,
        r"grid_shape must be three positive ints",
        lambda: bj.splat(IMAGE, GUIDE, (4, 4)),
    ),
    "grid shape of floats": (
        ValueError,
        r"grid_shape must be three positive ints",
        lambda: bj.splat(IMAGE, GUIDE, (4, 4, 2.5)),
    ),
    "weights of another size": (
        ValueError,
        "weights must have the guide's",
        lambda: bj.splat(IMAGE, GUIDE, (4, 4, 4), weights=GUIDE[:3]),
    ),
    "convention": (
        ValueError,
        "convention must be",
        lambda: bj.slice(GRID, GUIDE, convention="corner"),
    ),
    "boundary": (ValueError, "boundary must be", lambda: bj.slice(GRID, GUIDE, boundary="mirror")),
    "ring on corners": (
        ValueError,
        "needs convention='half_pixel'",
        lambda: bj.slice(GRID, GUIDE, boundary="wrap", convention="align_corners"),
    ),
    "implementation": (
        ValueError,
        "implementation must be None or one of 'reference', 'xla', 'gpu', 'tpu', got 'cuda'",
        lambda: bj.slice(GRID, GUIDE, implementation="cuda"),
    ),
    "feature axes": (ValueError, "feature_axes", lambda: bj.slice(GRID, GUIDE, feature_axes=9)),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_errors_name_the_argument(name):
    error, message, call = MISTAKES[name]
    with pytest.raises(error, match=message):
        call()
    with pytest.raises(error, match=message):
        jax.jit(call)()

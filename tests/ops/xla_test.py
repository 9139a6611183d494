"""The dense XLA formulation against ops/reference.py, over awkward shapes and values."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bilateral_jax as bj
from bilateral_jax import lattice as lattice_lib
from bilateral_jax.ops import reference, xla
from bilateral_jax.ops.xla import column_tiles, row_tiles, slice_loop, slicing


@dataclasses.dataclass(frozen=True)
class Case:
    grid_shape: tuple = (5, 4, 3)
    size: tuple = (13, 17)
    batch: int = 1
    outputs: int = 3
    channels: int | None = 3  # of the image; None for features alone
    offset: bool = True
    windows: tuple | None = None  # traced, one per example
    full_size: tuple | None = None
    origin: tuple = (0, 0)
    convention: str = "half_pixel"
    boundary: tuple = ("clamp", "clamp", "clamp")

    @property
    def lattice(self):
        return lattice_lib.Lattice(
            grid_shape=self.grid_shape,
            size=self.size,
            full_size=self.full_size or self.size,
            origin=self.origin,
            convention=self.convention,
            boundary=self.boundary,
        )

    @property
    def columns(self):
        return 1 if self.channels is None else self.channels + self.offset

    def arrays(self, seed=0, dtype=np.float32):
        """`(grid, values, guide, image, window)`; a third of the guide lies outside [0, 1]."""
        rng = np.random.default_rng(seed)
        pixels = (self.batch, *self.size)
        grid = rng.normal(size=(self.batch, *self.grid_shape, self.outputs, self.columns))
        values = rng.normal(size=(*pixels, self.outputs))
        guide = rng.uniform(-0.25, 1.25, pixels)
        image = None if self.channels is None else rng.uniform(size=(*pixels, self.channels))
        window = None if self.windows is None else jnp.asarray(self.windows, jnp.int32)
        cast = [None if a is None else jnp.asarray(a, dtype) for a in (grid, values, guide, image)]
        return *cast, window


CASES = {
    "photo": Case(size=(61, 83)),
    "tiles_without_padding": Case(size=(16, 128), grid_shape=(4, 4, 8)),
    "cells": Case(size=(7, 96), batch=2),
    "halves_of_cells": Case(size=(7, 512), batch=2),
    "prime_width_wide": Case(size=(7, 401), grid_shape=(3, 5, 4)),
    "smaller_than_grid": Case(size=(3, 2), grid_shape=(16, 16, 8)),
    "one_pixel": Case(size=(1, 1)),
    "one_row": Case(size=(1, 41)),
    "one_column": Case(size=(41, 1)),
    "one_cell": Case(grid_shape=(1, 1, 1)),
    "flat_depth": Case(grid_shape=(4, 4, 1)),
    "batch": Case(batch=3),
    "linear": Case(offset=False),
    "one_channel": Case(outputs=1, channels=1),
    "features": Case(outputs=1, channels=None),
    "many_features": Case(outputs=36, channels=None),
    "many_features_in_traced_windows": Case(
        batch=2, outputs=9, channels=None, windows=((0, 0, 13, 17), (37, 151, 200, 300))
    ),
    "many_channels_of_an_image": Case(batch=2, outputs=9),
    "too_many_terms_to_unroll": Case(grid_shape=(4, 3, 40), outputs=12, channels=None),
    "static_window": Case(full_size=(200, 300), origin=(37, 151)),
    "traced_windows": Case(
        batch=2, size=(16, 24), windows=((0, 0, 16, 24), (37, 151, 200, 300)), grid_shape=(4, 6, 3)
    ),
    "traced_windows_wrap": Case(
        batch=2,
        windows=((0, 0, 13, 17), (37, 151, 200, 300)),
        boundary=("wrap", "wrap", "wrap"),
    ),
    "traced_windows_align_corners": Case(
        batch=2, windows=((0, 0, 13, 17), (1, 2, 14, 19)), convention="align_corners"
    ),
    "traced_window_beyond_its_image": Case(
        size=(16, 64), windows=((0, 0, 16, 45),), grid_shape=(4, 16, 8)
    ),
    "align_corners": Case(convention="align_corners"),
    "corner_nodes": Case(convention="corner_nodes"),
    "traced_windows_corner_nodes": Case(
        batch=2, windows=((0, 0, 13, 17), (1, 2, 14, 19)), convention="corner_nodes"
    ),
    "align_corners_one_pixel": Case(convention="align_corners", size=(1, 1)),
    "wrap": Case(boundary=("wrap", "wrap", "wrap")),
    "wrap_two_cells": Case(boundary=("wrap", "wrap", "wrap"), grid_shape=(2, 2, 2)),
    "wrap_one_cell": Case(boundary=("wrap", "wrap", "wrap"), grid_shape=(1, 1, 1)),
    "wrap_align_corners": Case(boundary=("clamp", "wrap", "clamp"), convention="align_corners"),
}
# For programs that run once, as the expected values.
QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
each_order = pytest.mark.parametrize("order", [0, 1])


def run(module, name, case, arrays, dtype=jnp.float32, **options):
    grid, values, guide, image, window = arrays
    options = dict(lattice=case.lattice, dtype=dtype, **options)
    if name == "splat_apply":
        options["offset"] = case.offset or image is None
    if name == "guide_vjp":
        del options["order"]
    function = functools.partial(getattr(module, name), **options)
    first = {"slice_apply": [grid], "splat_apply": [values], "guide_vjp": [values, grid]}[name]
    compiled = jax.jit(function, compiler_options=QUICKLY if module is reference else None)
    return np.asarray(compiled(*first, guide, image, window), np.float64)


def assert_matches(name, case, arrays, tolerance=3e-6, dtype=jnp.float32, **options):
    expected = run(reference, name, case, arrays, dtype, **options)
    actual = run(xla, name, case, arrays, dtype, **options)
    scale = max(np.abs(expected[np.isfinite(expected)]).max(initial=0), 1e-3)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("name", ["slice_apply", "splat_apply"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_matches_reference(case, name):
    assert_matches(name, case, case.arrays(), order=0, tolerance=1e-5)


# The slope differs from the value along gd alone.
@pytest.mark.parametrize("name", ["slice_apply", "splat_apply", "guide_vjp"])
@pytest.mark.parametrize(
    "case",
    ["batch", "features", "many_features", "flat_depth", "traced_windows_wrap", "wrap_one_cell"],
)
def test_slope_matches_reference(case, name):
    assert_matches(name, CASES[case], CASES[case].arrays(), order=1, tolerance=1e-5)


@each_order
@pytest.mark.parametrize("boundary", lattice_lib.BOUNDARIES)
def test_guide_on_cell_centres(order, boundary):
    case = Case(grid_shape=(3, 3, 4), size=(2, 14), boundary=("clamp", "clamp", boundary))
    grid, values, _, image, _ = case.arrays()
    # Centres at (k + 0.5) / 4, exact in binary; the derivative there is the one to the right.
    guide = jnp.asarray(np.arange(28).reshape(1, 2, 14) / 8 - 1, jnp.float32)
    names = ["slice_apply", "splat_apply"] + ["guide_vjp"] * order
    for name in names:
        assert_matches(name, case, (grid, values, guide, image, None), order=order)


@pytest.mark.parametrize(
    "case", ["photo", "linear", "one_channel", "static_window", "align_corners"]
)
def test_guide_vjp_matches_reference(case):
    assert_matches("guide_vjp", CASES[case], CASES[case].arrays(), order=1, tolerance=1e-5)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_accumulates_in_float32(dtype):
    case = Case(size=(40, 50))
    arrays = case.arrays(dtype=dtype)
    for name in ("slice_apply", "splat_apply"):
        assert_matches(name, case, arrays, dtype=jnp.float32, order=0)
        assert_matches(name, case, arrays, dtype=dtype, order=0, tolerance=1e-2)


def test_float64_accumulates_in_float64():
    with jax.enable_x64():
        case = Case(size=(40, 50))
        arrays = case.arrays(dtype=np.float64)
        for name in ("slice_apply", "splat_apply"):
            assert_matches(name, case, arrays, 1e-13, jnp.float64, order=0)


@pytest.mark.parametrize("case", [Case(), CASES["many_features"]], ids=["image", "many_features"])
def test_nan_guide_affects_its_pixel_alone(case):
    grid, values, guide, image, _ = case.arrays()
    clean = run(xla, "slice_apply", case, (grid, values, guide, image, None), order=0)
    broken = run(
        xla,
        "slice_apply",
        case,
        (grid, values, guide.at[0, 5, 6].set(np.nan), image, None),
        order=0,
    )
    assert np.isnan(broken[0, 5, 6]).all()
    broken[0, 5, 6] = clean[0, 5, 6]
    np.testing.assert_array_equal(broken, clean)


@each_order
def test_nan_guide_splats_nothing_whatever_its_value(order):
    case = Case()
    grid, values, guide, image, _ = case.arrays()
    without = run(
        xla,
        "splat_apply",
        case,
        (grid, values.at[0, 5, 6].set(0), guide, image, None),
        order=order,
    )
    guide, values = guide.at[0, 5, 6].set(np.nan), values.at[0, 5, 6].set(np.nan)
    broken = (grid, values, guide, image, None)
    np.testing.assert_allclose(
        run(xla, "splat_apply", case, broken, order=order), without, atol=1e-6
    )
    assert_matches("splat_apply", case, broken, order=order)


@pytest.mark.parametrize("case", [Case(), CASES["many_features"]], ids=["image", "many_features"])
def test_infinite_guide_clamps(case):
    grid, values, guide, image, _ = case.arrays()
    guide = guide.at[0, 5, 6].set(np.inf).at[0, 7, 8].set(-np.inf)
    for name in ("slice_apply", "splat_apply"):
        for order in (0, 1):
            assert_matches(name, case, (grid, values, guide, image, None), order=order)


def test_cells_that_no_pixel_reaches_stay_exactly_zero():
    case = Case(size=(40, 50), grid_shape=(4, 4, 8))
    grid, values, guide, image, _ = case.arrays()
    arrays = (grid, 1000 * values, jnp.full_like(guide, 0.3), image, None)
    splatted = run(xla, "splat_apply", case, arrays, order=0)
    assert np.abs(splatted[:, :, :, 1:3]).min() > 0
    assert not splatted[:, :, :, [0, 3, 4, 5, 6, 7]].any()


TILED = {
    "static": Case(size=(29, 83), batch=2),
    "cells": Case(size=(29, 80), batch=2),
    "halves_of_cells": Case(size=(29, 512), batch=2),
    "traced": dataclasses.replace(CASES["traced_windows_wrap"], size=(29, 41)),
    "features": Case(size=(29, 41), batch=2, outputs=9, channels=None),
    "multiplied": dataclasses.replace(CASES["too_many_terms_to_unroll"], size=(29, 17)),
}


@pytest.mark.parametrize("name", ["slice_apply", "splat_apply", "guide_vjp"])
@pytest.mark.parametrize("case", TILED.values(), ids=TILED)
def test_row_tiles_change_nothing(case, name, monkeypatch):
    arrays = case.arrays()
    whole = run(xla, name, case, arrays, order=0)
    monkeypatch.setattr(slicing, "_table_rows", lambda *facts, **others: 0)
    # Four rows a tile: the last one repeats three rows of the one before.
    monkeypatch.setattr(row_tiles, "tile_rows", lambda *facts: 4)
    tiled = run(xla, name, case, arrays, order=0)
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-5 * np.abs(whole).max())


@pytest.mark.parametrize(
    "size, batch, loops",
    [((1080, 1920), 1, False), ((1080, 1920), 32, False), ((768, 1024), 32, True)],
)
def test_batches_of_wide_images_are_sliced_without_row_tiles(size, batch, loops):
    """Their table is small beside the result; with row tiles one core would copy every pixel."""
    shapes = ((16, 16, 8, 3, 4), size, (*size, 3))
    arrays = (jax.ShapeDtypeStruct((batch, *shape), jnp.float32) for shape in shapes)
    program = jax.jit(functools.partial(bj.slice_apply, implementation="xla")).lower(*arrays)
    # One loop more, of no steps, is for grids that hold a NaN (ops/nonfinite.py).
    assert (program.as_text().count("stablehlo.while") > 1) == loops


def test_temporaries_of_a_batch_of_crops_stay_below_32_megabytes():
    """Above 32 MB the C library gives them back: every training step would pay for fresh pages."""
    shapes = ((16, 16, 8, 3, 4), (256, 256), (256, 256, 3), (256, 256, 3))
    *arrays, cotangent = (jax.ShapeDtypeStruct((8, *shape), jnp.float32) for shape in shapes)

    def gradients(cotangent, *arrays):
        slice_apply = functools.partial(bj.slice_apply, implementation="xla")
        out, pullback = jax.vjp(slice_apply, *arrays)
        return out, pullback(cotangent)

    program = jax.jit(gradients).lower(cotangent, *arrays).compile()
    assert program.memory_analysis().temp_size_in_bytes < 28e6


@pytest.mark.parametrize("width, per_cell", [(96, 1), (512, 2), (97, 1), (17, 0)])
def test_cells_beyond_the_border_weigh_nothing(width, per_cell):
    case = Case(size=(7, width), grid_shape=(5, 4, 3))
    tiles = column_tiles.column_tiles(case.lattice, None, slicing.COSTS)
    assert tiles.per_cell == per_cell
    grid, values, guide, image, _ = case.arrays()
    for far, near in ((-1, np.s_[:, :, : width // 8]), (0, np.s_[:, :, -(width // 8) :])):
        # In the flattened rows the other end of the row is the next cell.
        large = grid.at[:, :, far].set(1e20)
        for name in ("slice_apply", "guide_vjp"):
            arrays = (large, values, guide, image, None)
            expected = run(reference, name, case, arrays, order=1)[near]
            actual = run(xla, name, case, arrays, order=1)[near]
            np.testing.assert_allclose(actual, expected, atol=1e-5 * np.abs(expected).max())


def test_few_terms_are_unrolled_in_tiles_of_one_vector(monkeypatch):
    """One such program, 36 features in 85 columns, took jax 0.10.2 all memory to compile."""
    case = Case(grid_shape=(16, 16, 8), size=(9, 85), outputs=9)
    assert column_tiles.column_tiles(case.lattice, None, slicing.COSTS).width == 8
    written_out = []
    monkeypatch.setattr(slice_loop, "unrolled", lambda *arrays, **_: written_out.append(arrays))
    assert_matches("guide_vjp", case, case.arrays(), order=1, tolerance=1e-5)
    assert not written_out


@pytest.mark.parametrize("name", ["slice_apply", "splat_apply"])
def test_temporaries_are_bounded_by_row_tiles(name):
    def temporary_bytes(size):
        case = Case(grid_shape=(16, 16, 8), size=size)
        lattice, pixels = case.lattice, (1, *size)
        function = functools.partial(getattr(xla, name), lattice=lattice, order=0, dtype=np.float32)
        if name == "splat_apply":
            function = functools.partial(function, offset=True)
            first = jax.ShapeDtypeStruct((*pixels, 3), np.float32)
        else:
            first = jax.ShapeDtypeStruct((1, 16, 16, 8, 3, 4), np.float32)
        guide = jax.ShapeDtypeStruct(pixels, np.float32)
        image = jax.ShapeDtypeStruct((*pixels, 3), np.float32)
        compiled = jax.jit(function).lower(first, guide, image).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    # A plane of this image is 12 MB, the sliced coefficients 144 MB. 1999 divides into no tiles.
    assert temporary_bytes((1500, 1999)) < 12e6
    assert temporary_bytes((12000, 1999)) < 12e6
    # Tiles as wide as cells fill 2000 columns: a table of all rows, a third of the result; where
    # that is too large, row tiles again.
    assert temporary_bytes((1500, 2000)) < 12e6
    assert temporary_bytes((12000, 2000)) < 12e6
    assert temporary_bytes((3000, 4000)) < 19e6

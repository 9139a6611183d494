"""The TPU kernels, interpreted on a CPU, against ops/reference.py; and lowered for a TPU.

Both are needed: the interpreters accept what the compiler refuses, and lowering computes nothing.
"""

import dataclasses
import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import lattice as lattice_lib
from bilateral_jax.kernels import pallas, tpu
from bilateral_jax.kernels.tpu import slicing, splatting, tiling
from bilateral_jax.ops import reference
from tests import cases, lowering

pytestmark = pytest.mark.usefixtures("compiled_quickly")

NAMES = {"slice_apply": slicing.NAME, "splat_apply": splatting.NAME}
BY_NAME = {case.name: case for case in cases.CASES}
# More than one tile both ways once tiles are the smallest, and partial ones at the ends.
TILES = cases.Case("tiles", (3, 5, 4), (19, 300), n_out=2, n_in=1)
WINDOWS = ((3, 1, 29, 31), (0, 14, 9, 20))
each_operation = pytest.mark.parametrize("operation", NAMES)


def lattice_of(case):
    top, left, *full_size = case.window or (0, 0, *case.size)
    return lattice_lib.Lattice(
        case.grid_shape, case.size, tuple(full_size), (top, left), case.convention, case.boundary
    )


def operands(case, batch=1, features=False, windows=None):
    """`{grid, values, guide, image, window}` of a case."""
    grid, guide, image, values = case.arrays(batch=(batch,))
    if features:
        grid, image = grid[..., :1], None
    window = None if windows is None else jnp.asarray(windows, jnp.int32)
    return dict(grid=grid, values=values, guide=guide, image=image, window=window)


def call(module, operation, case, arrays, order=0, dtype=jnp.float32):
    """One operation of an implementation, and its arrays."""
    options = dict(lattice=lattice_of(case), order=order, dtype=dtype)
    if operation == "splat_apply":
        options["offset"] = case.offset or arrays["image"] is None
    first = "grid" if operation == "slice_apply" else "values"
    function = functools.partial(getattr(module, operation), **options)
    return function, [arrays[name] for name in (first, "guide", "image", "window")]


def run(module, operation, case, arrays, **options):
    function, inputs = call(module, operation, case, arrays, **options)
    return np.asarray(jax.jit(function)(*inputs), np.float64)


def assert_matches(operation, case, arrays, parameters=True, tolerance=1e-5, **options):
    expected = run(reference, operation, case, arrays, **options)
    with pallas.interpreted(parameters):
        actual = run(tpu, operation, case, arrays, **options)
    scale = max(np.abs(expected[np.isfinite(expected)]).max(initial=0), 1e-3)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


@pytest.fixture
def smallest_tiles(monkeypatch):
    monkeypatch.setattr(tiling, "_CANDIDATES", ((16, 128),))


@each_operation
@pytest.mark.parametrize("case", cases.CASES, ids=str)
def test_matches_reference(case, operation):
    assert_matches(operation, case, operands(case))


# The slope differs from the value along gd alone.
@each_operation
@pytest.mark.parametrize(
    "case",
    [
        "odd",
        "depth_one",
        "ring_everywhere",
        "ring_of_one_and_two",
        "align_corners_window",
        "corner_nodes_window",
    ],
)
def test_slope_matches_reference(case, operation):
    assert_matches(operation, BY_NAME[case], operands(BY_NAME[case]), order=1)


@each_operation
@pytest.mark.parametrize("case", cases.CASES, ids=str)
def test_lowers_for_a_tpu_under_its_name(case, operation):
    function, inputs = call(tpu, operation, case, operands(case))
    assert NAMES[operation] in lowering.for_tpu(function, *inputs)


VARIANTS = {
    "batch": (TILES, dict(batch=3)),
    "features": (TILES, dict(features=True)),
    "traced_windows": (BY_NAME["window"], dict(batch=2, windows=WINDOWS)),
    "traced_windows_align_corners": (
        BY_NAME["align_corners_window"],
        dict(batch=2, windows=WINDOWS),
    ),
    "traced_windows_on_a_ring": (BY_NAME["ring_everywhere"], dict(batch=2, windows=WINDOWS)),
}
each_variant = pytest.mark.parametrize("variant", VARIANTS)


@each_operation
@each_variant
def test_variants_match_reference(variant, operation, smallest_tiles):
    case, options = VARIANTS[variant]
    assert_matches(operation, case, operands(case, **options))


@each_operation
@each_variant
@pytest.mark.parametrize("order", [0, 1])
def test_variants_lower_for_a_tpu(variant, operation, order, smallest_tiles):
    case, options = VARIANTS[variant]
    function, inputs = call(tpu, operation, case, operands(case, **options), order=order)
    assert NAMES[operation] in lowering.for_tpu(function, *inputs)


@pytest.fixture
def simulated_memories():
    """A TPU's memories: what was not written is NaN, reading outside raises, races are found."""
    yield pallas.tpu.InterpretParams(
        uninitialized_memory="nan", out_of_bounds_reads="raise", detect_races=True
    )
    pallas.tpu.reset_tpu_interpret_mode_state()


@each_operation
def test_memory_is_written_before_it_is_read_and_never_read_outside(
    operation, smallest_tiles, simulated_memories
):
    assert_matches(operation, TILES, operands(TILES), simulated_memories)


def test_memory_of_the_guides_cotangent(smallest_tiles, simulated_memories):
    inputs = [operands(TILES)[name] for name in ("values", "grid", "guide", "image")]
    options = dict(lattice=lattice_of(TILES), dtype=jnp.float32)
    expected = reference.guide_vjp(*inputs, **options)
    with pallas.interpreted(simulated_memories):
        actual = jax.jit(functools.partial(tpu.guide_vjp, **options))(*inputs)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_memory_of_the_fused_path(smallest_tiles, simulated_memories):
    case = dataclasses.replace(TILES, n_out=3, n_in=3)
    function, inputs, expected = guided_problem("pointwise", case)
    with pallas.interpreted(simulated_memories):
        actual = jax.jit(function)(*inputs)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-5)


@each_operation
def test_outputs_divided_among_programs_change_nothing(operation, smallest_tiles, monkeypatch):
    case = BY_NAME["wide_features"]
    divisions = []

    def two_rows_at_a_time(lattice, tiling_, columns, planes, channels):
        divisions.append(tiling_.outputs)
        return 0 if tiling_.outputs <= 2 else tiling.BUDGET_BYTES + 1

    monkeypatch.setattr(tiling, "vector_memory", two_rows_at_a_time)
    assert_matches(operation, case, operands(case))
    assert divisions == [2]  # 4 x 7 entries are too many for one step anyway


@each_operation
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("boundary", lattice_lib.BOUNDARIES)
def test_guide_on_cell_centres(boundary, order, operation):
    case = cases.Case("centres", (3, 3, 4), (2, 14), boundary=("clamp", "clamp", boundary))
    arrays = operands(case)
    # Centres at (k + 0.5) / 4, exact in binary; the derivative there is the one to the right.
    arrays["guide"] = np.float32(np.arange(28).reshape(1, 2, 14) / 8 - 1)
    assert_matches(operation, case, arrays, order=order)


@pytest.mark.parametrize("case", ["odd", "wide_features", "depth_one"])
def test_guide_vjp_contracts_in_the_kernel(case):
    case, options = BY_NAME[case], dict(lattice=lattice_of(BY_NAME[case]), dtype=jnp.float32)
    inputs = [operands(case)[name] for name in ("values", "grid", "guide", "image")]
    expected = reference.guide_vjp(*inputs, **options)
    function = functools.partial(tpu.guide_vjp, **options)
    with pallas.interpreted():
        actual = jax.jit(function)(*inputs)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    if case.grid_shape[2] > 1:
        assert "bilateral_guide_vjp_tpu" in lowering.for_tpu(function, *inputs)


def guide_of(guide, parameters, image):
    """The same guides, written with arrays."""
    p, image = parameters, image[..., None]
    if guide == "curves":
        value = (image * p["ccm"]).sum(-2) + p["ccm_bias"]
        ramps = p["slopes"] * np.maximum(value[..., None] - p["shifts"], 0)
        return np.clip(ramps.sum(-1) @ p["mix"] + p["mix_bias"], 0, 1)
    value = np.maximum((image * p["weights"]).sum(-2) + p["offsets"], 0)
    return 1 / (1 + np.exp(-(value @ p["out"] + p["bias"])))


SHAPES = {
    "curves": dict(ccm=(3, 3), ccm_bias=3, shifts=(3, 5), slopes=(3, 5), mix=3, mix_bias=()),
    "pointwise": dict(weights=(3, 4), offsets=4, out=4, bias=()),
}


def guided_problem(guide, case):
    """The fused path, its inputs and its results."""
    arrays, rng = operands(case), np.random.default_rng(7)
    shapes = SHAPES[guide].items()
    parameters = {name: np.float32(rng.uniform(-1, 1, shape)) for name, shape in shapes}
    arrays["guide"] = np.float32(guide_of(guide, parameters, arrays["image"]))
    assert np.ptp(arrays["guide"]) > 0.2
    function = functools.partial(
        tpu.guided_slice_apply, lattice=lattice_of(case), guide=guide, dtype=jnp.float32
    )
    expected = run(reference, "slice_apply", case, arrays)
    return function, (arrays["grid"], arrays["image"], parameters), expected


@pytest.mark.parametrize("guide", SHAPES)
def test_guided_slice_computes_its_guide(guide):
    function, inputs, expected = guided_problem(guide, cases.Case("guided", (3, 4, 3), (6, 21)))
    with pallas.interpreted():
        actual = jax.jit(function)(*inputs)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-5)
    assert f"bilateral_guided_slice_apply_tpu_{guide}" in lowering.for_tpu(function, *inputs)


@each_operation
def test_bfloat16_accumulates_in_float32(operation):
    case = BY_NAME["odd"]
    arrays = operands(case)
    halves = {n: a if a is None else jnp.asarray(a, jnp.bfloat16) for n, a in arrays.items()}
    assert_matches(operation, case, halves)
    assert_matches(operation, case, halves, dtype=jnp.bfloat16, tolerance=1e-2)
    function, inputs = call(tpu, operation, case, halves, dtype=jnp.bfloat16)
    assert NAMES[operation] in lowering.for_tpu(function, *inputs)


def test_nan_guide_affects_its_pixel_alone():
    case = BY_NAME["odd"]
    arrays = operands(case)
    with pallas.interpreted():
        clean = run(tpu, "slice_apply", case, arrays)
        arrays["guide"][0, 5, 6] = np.nan
        broken = run(tpu, "slice_apply", case, arrays)
    assert np.isnan(broken[0, 5, 6]).all()
    broken[0, 5, 6] = clean[0, 5, 6]
    np.testing.assert_array_equal(broken, clean)


@pytest.mark.parametrize("order", [0, 1])
def test_nan_guide_splats_nothing_whatever_its_values(order):
    case = BY_NAME["odd"]
    arrays = operands(case)
    arrays["values"][0, 5, 6] = 0
    with pallas.interpreted():
        without = run(tpu, "splat_apply", case, arrays, order=order)
        for name in ("guide", "values", "image"):
            arrays[name][0, 5, 6] = np.nan
        broken = run(tpu, "splat_apply", case, arrays, order=order)
    np.testing.assert_array_equal(broken, without)


@each_operation
@pytest.mark.parametrize("order", [0, 1])
def test_infinite_guide_clamps(order, operation):
    case = BY_NAME["odd"]
    arrays = operands(case)
    arrays["guide"][0, 5, 6], arrays["guide"][0, 7, 8] = np.inf, -np.inf
    assert_matches(operation, case, arrays, order=order)


def test_cells_that_no_pixel_reaches_stay_exactly_zero():
    case = cases.Case("planes", (2, 2, 8), (9, 10))
    arrays = operands(case)
    arrays["guide"] = np.full_like(arrays["guide"], 0.3)
    with pallas.interpreted():
        splatted = run(tpu, "splat_apply", case, arrays)
    assert np.abs(splatted[:, :, :, 1:3]).min() > 0
    assert not splatted[:, :, :, [0, 3, 4, 5, 6, 7]].any()


def lowered_kernels():
    """`(function, inputs)` of each kernel."""
    for operation in NAMES:
        yield call(tpu, operation, TILES, operands(TILES))
    arrays = [operands(TILES)[name] for name in ("values", "grid", "guide", "image")]
    yield functools.partial(tpu.guide_vjp, lattice=lattice_of(TILES), dtype=jnp.float32), arrays
    case = dataclasses.replace(TILES, n_out=3, n_in=3)
    for guide in SHAPES:
        yield guided_problem(guide, case)[:2]


def test_products_keep_float32_precision(monkeypatch, capsys):
    # By default the matrix unit rounds factors to bfloat16, which no interpreter shows.
    core = importlib.import_module("jax.experimental.pallas")
    monkeypatch.setattr(core, "pallas_call", functools.partial(core.pallas_call, debug=True))
    for function, inputs in lowered_kernels():
        program = lowering.for_tpu(function, *inputs)
        said = capsys.readouterr().out.splitlines()
        products = [line for line in said if "tpu.matmul" in line]
        assert products
        assert all("#tpu.contract_precision<fp32>" in line for line in products)
        # What XLA multiplies beside the kernel.
        assert not lowering.products_without_precision(program)


def test_unsupported_calls_say_why():
    def reason(dtypes=("float32",), grid_shape=(16, 16, 8), outputs=3, columns=4):
        lattice = lattice_lib.Lattice(grid_shape, (3000, 4000), (3000, 4000))
        return tpu.unsupported(
            "slice_apply",
            lattice=lattice,
            outputs=outputs,
            columns=columns,
            order=0,
            dtypes=tuple(map(jnp.dtype, dtypes)),
            window=False,
        )

    assert reason() is None
    assert reason(dtypes=("bfloat16", "float32")) is None
    assert reason(grid_shape=(64, 64, 16)) is None
    assert "float16" in reason(dtypes=("float16",))
    assert "float64" in reason(dtypes=("float64",))
    assert "vector memory" in reason(grid_shape=(256, 256, 32))

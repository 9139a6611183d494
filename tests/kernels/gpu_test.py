"""The GPU kernels, interpreted on a CPU, against ops/reference.py; and lowered for CUDA."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import lattice as lattice_lib
from bilateral_jax.kernels import gpu, pallas
from bilateral_jax.kernels.gpu import tuning
from bilateral_jax.models.layers import guides, norms
from bilateral_jax.ops import bilateral, reference
from bilateral_jax.ops import guides as guide_functions
from tests import cases, lowering

# On jax 0.12 the backend is deprecated, see docs/kernels.md.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The Pallas Triton backend:DeprecationWarning"),
    pytest.mark.usefixtures("compiled_quickly"),
]

OPERATIONS = ("slice_apply", "splat_apply")
BY_NAME = {case.name: case for case in cases.CASES}
TRACED = np.asarray([[0, 0, 8, 12], [37, 5, 60, 40]], np.int32)  # of 8 x 12 pixels


def lattice_of(case):
    top, left, height, width = case.window or (0, 0, *case.size)
    return lattice_lib.Lattice(
        grid_shape=case.grid_shape,
        size=case.size,
        full_size=(height, width),
        origin=(top, left),
        convention=case.convention,
        boundary=case.boundary,
    )


def problem(case, batch=1, dtype=jnp.float32, **changes):
    """`{operation: arrays}` and the options that both operations share."""
    grid, guide, image, values = case.arrays(batch=(batch,))
    grid, guide, image, values = (jnp.asarray(a, dtype) for a in (grid, guide, image, values))
    arrays = {"slice_apply": [grid, guide, image], "splat_apply": [values, guide, image]}
    options = {"lattice": lattice_of(case), "order": 0, "dtype": jnp.float32} | changes
    return arrays, options


def bound(module, operation, options, offset=True):
    more = {"offset": offset} if operation == "splat_apply" else {}
    return functools.partial(getattr(module, operation), **options, **more)


def compiled(function, *arrays):
    return np.asarray(jax.jit(function)(*arrays), np.float64)


def interpreted(function, *arrays):
    with pallas.interpreted():
        return compiled(function, *arrays)


def assert_same(operation, arrays, options, offset=True, tolerance=4e-6):
    expected = compiled(bound(reference, operation, options, offset), *arrays)
    actual = interpreted(bound(gpu, operation, options, offset), *arrays)
    scale = max(np.abs(expected).max(initial=0), 1e-3)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


@pytest.fixture
def small_programs(monkeypatch):
    """Few sums per program, so that interpreted programs are small, and more of them."""
    few = dataclasses.replace(tuning.TABLE[0], splat_sums=16)
    monkeypatch.setattr(tuning, "TABLE", (few,))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("case", cases.CASES, ids=str)
def test_matches_reference(case, operation, small_programs):
    arrays, options = problem(case)
    assert_same(operation, arrays[operation], options, case.offset)


@pytest.mark.parametrize("name", ["prime_without_offset", "window"])
def test_splat_with_tile_sizes_of_a_device_matches_reference(name):
    case = BY_NAME[name]
    arrays, options = problem(case, batch=2)
    assert_same("splat_apply", arrays["splat_apply"], options, case.offset)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", ["depth_two_grey", "ring_of_one_and_two", "depth_one"])
def test_slope_matches_reference(name, operation):
    arrays, options = problem(BY_NAME[name], order=1)
    assert_same(operation, arrays[operation], options)


@pytest.mark.parametrize("outputs,features", [(1, False), (3, False), (6, True)])
def test_guide_vjp_matches_contracted_slope(outputs, features):
    case = dataclasses.replace(BY_NAME["depth_two_grey"], n_out=outputs, offset=not features)
    arrays, options = problem(case, batch=2)
    (grid, guide, image), (values, *_) = arrays["slice_apply"], arrays["splat_apply"]
    options = {"lattice": options["lattice"], "dtype": jnp.float32}
    arrays = values, grid, guide, None if features else image
    slope = compiled(functools.partial(reference.slice_apply, order=1, **options), *arrays[1:])
    function = functools.partial(gpu.guide_vjp, **options)
    actual = interpreted(function, *arrays)
    expected = (np.asarray(values) * slope).sum(-1)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=3e-6 * np.abs(expected).max())
    assert "bilateral_guide_vjp_gpu" in lowering.for_cuda(function, *arrays)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("outputs", [1, 6])
def test_features_alone_match_reference(outputs, operation):
    case = dataclasses.replace(BY_NAME["depth_two_grey"], n_out=outputs, n_in=1, offset=False)
    arrays, options = problem(case, batch=2)
    assert_same(operation, [*arrays[operation][:2], None], options)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("convention", lattice_lib.CONVENTIONS)
def test_traced_windows_match_reference(convention, operation):
    boundary = ("clamp", "wrap" if convention == "half_pixel" else "clamp", "clamp")
    case = cases.Case(
        "traced", (3, 5, 2), (8, 12), n_out=1, n_in=1, convention=convention, boundary=boundary
    )
    arrays, options = problem(case, batch=2)
    assert_same(operation, [*arrays[operation], jnp.asarray(TRACED)], options)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("boundary", lattice_lib.BOUNDARIES)
def test_guide_on_cell_centres(operation, order, boundary):
    case = cases.Case(
        "centres", (2, 3, 4), (2, 14), n_out=1, n_in=1, boundary=("clamp", "clamp", boundary)
    )
    arrays, options = problem(case, order=order)
    # Centres at (k + 0.5) / 4, exact in binary; the derivative there is the one to the right.
    arrays[operation][1] = jnp.arange(28.0).reshape(1, 2, 14) / 8 - 1
    assert_same(operation, arrays[operation], options)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("order", [0, 1])
def test_infinite_guide_clamps(order, operation):
    arrays, options = problem(BY_NAME["depth_two_grey"], order=order)
    guide = arrays[operation][1]
    arrays[operation][1] = guide.at[0, 3, 4].set(np.inf).at[0, 5, 6].set(-np.inf)
    assert_same(operation, arrays[operation], options)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "dtype,out,tolerance", [(jnp.bfloat16, jnp.float32, 2e-6), (jnp.float16, jnp.float16, 1e-3)]
)
def test_half_precision_accumulates_in_float32(dtype, out, tolerance, operation):
    arrays, options = problem(BY_NAME["depth_two_grey"], dtype=dtype)
    assert_same(operation, arrays[operation], options | {"dtype": out}, tolerance=tolerance)


def test_nan_guide_affects_its_pixel_alone():
    arrays, options = problem(BY_NAME["depth_two_grey"])
    grid, guide, image = arrays["slice_apply"]
    function = bound(gpu, "slice_apply", options)
    clean = interpreted(function, grid, guide, image)
    broken = interpreted(function, grid, guide.at[0, 3, 4].set(np.nan), image)
    assert np.isnan(broken[0, 3, 4]).all()
    broken[0, 3, 4] = clean[0, 3, 4]
    np.testing.assert_array_equal(broken, clean)


@pytest.mark.parametrize("order", [0, 1])
def test_nan_guide_splats_nothing_whatever_its_value(order):
    arrays, options = problem(BY_NAME["depth_two_grey"], order=order)
    values, guide, image = arrays["splat_apply"]
    function = bound(gpu, "splat_apply", options)
    without = interpreted(function, values.at[0, 3, 4].set(0), guide, image)
    lost = values.at[0, 3, 4].set(np.nan), guide.at[0, 3, 4].set(np.nan), image
    np.testing.assert_array_equal(interpreted(function, *lost), without)


def test_cells_that_no_pixel_reaches_stay_zero():
    case = cases.Case("far", (2, 3, 8), (5, 40), n_out=1, n_in=1)
    arrays, options = problem(case)
    values, guide, image = arrays["splat_apply"]
    grid = interpreted(bound(gpu, "splat_apply", options), values, guide * 0 + 0.3, image)
    assert (grid[:, :, :, 3:] == 0).all() and (grid[:, :, :, 0] == 0).all()
    assert (grid[:, :, :, 1:3] != 0).all()


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "name,order",
    [(name, 0) for name in BY_NAME] + [("odd", 1), ("ring_everywhere", 1), ("window", 1)],
)
def test_lowers_for_cuda(name, order, operation):
    arrays, options = problem(BY_NAME[name], order=order)
    program = lowering.for_cuda(bound(gpu, operation, options), *arrays[operation])
    assert "triton" in program
    assert f"bilateral_{operation}_gpu_order{order}" in program
    # XLA's products beside the kernel must not round factors to TF32, which no interpreter shows;
    # and sums must not depend on the order of programs.
    assert "stablehlo.dot_general" in program
    assert not lowering.products_without_precision(program)
    assert "atomic" not in program


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_and_windows_lower_for_cuda(dtype, operation):
    case = cases.Case("traced", (3, 5, 2), (8, 12))
    arrays, options = problem(case, batch=2, dtype=dtype)
    options |= {"dtype": dtype}
    arrays = [*arrays[operation], jnp.asarray(TRACED)]
    program = lowering.for_cuda(bound(gpu, operation, options), *arrays)
    assert f"bilateral_{operation}_gpu_order0" in program


@pytest.mark.parametrize("transformed", ["jit", "vmap", "pmap"])
def test_forward_and_gradients_are_kernels(transformed):
    def loss(grid, guide, image):
        return (bilateral.slice_apply(grid, guide, image, implementation="gpu") ** 2).sum()

    def function(*arrays):
        out, gradients = jax.value_and_grad(loss, argnums=(0, 1, 2))(*arrays)
        return out, jax.jvp(jax.grad(loss), arrays, gradients)

    arrays = BY_NAME["depth_two_grey"].arrays(batch=() if transformed == "jit" else (2,))[:3]
    if transformed != "jit":
        function = getattr(jax, transformed)(function)
    program = lowering.for_cuda(function, *arrays)
    kernels = ["slice_apply_gpu_order0", "slice_apply_gpu_order1", "splat_apply_gpu_order0"]
    kernels += ["splat_apply_gpu_order1", "guide_vjp_gpu"]
    for kernel in kernels:
        assert f"bilateral_{kernel}" in program
    assert "_xla" not in program and "_reference" not in program


def test_empty_arrays_give_zeros():
    arrays, options = problem(BY_NAME["depth_two_grey"])
    for operation in OPERATIONS:
        first, guide, image = arrays[operation]
        none = [first if operation == "slice_apply" else first[:, :0], guide[:, :0], image[:, :0]]
        options["lattice"] = dataclasses.replace(options["lattice"], size=(0, 9))
        assert not bound(gpu, operation, options)(*none).any()


def test_too_many_numbers_are_refused():
    lattice = lattice_lib.Lattice((2, 2, 2), (4, 4), (4, 4))
    pixels = [(1 << 26, 2, 2, 2, 3, 1), (1 << 26, 4, 4)]
    cells = [(1 << 20, 2, 2, 2, 36, 4), (1 << 20, 4, 4)]
    function = bound(gpu, "slice_apply", {"lattice": lattice, "order": 0, "dtype": jnp.float32})
    for shapes in pixels, cells:
        with pytest.raises(ValueError, match="split n"):
            jax.eval_shape(function, *[jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes])


def test_a_real_photo_lowers_for_cuda():
    lattice = lattice_lib.Lattice((16, 16, 8), (3000, 4000), (3000, 4000))
    pixels = jax.ShapeDtypeStruct((1, 3000, 4000, 3), jnp.float32)
    guide = jax.ShapeDtypeStruct(pixels.shape[:3], jnp.float32)
    options = {"lattice": lattice, "order": 0, "dtype": jnp.float32}
    splat = bound(gpu, "splat_apply", options)
    assert "bilateral_splat_apply_gpu" in lowering.for_cuda(splat, pixels, guide, pixels)


def test_unsupported_calls_say_why():
    case = BY_NAME["odd"]
    call = functools.partial(
        gpu.unsupported, "slice_apply", lattice=lattice_of(case), outputs=3, order=0, window=False
    )
    assert call(columns=4, dtypes=(jnp.float32, jnp.bfloat16)) is None
    assert "float64" in call(columns=4, dtypes=(jnp.float32, jnp.float64))
    assert "columns" in call(columns=40, dtypes=(jnp.float32,))


def guide_parameters(guide, image):
    """Random weights of a guide network as the kernel takes them, and its guide of `image`."""
    key = jax.random.key(3)
    network = guides.CurvesGuide() if guide == "curves" else guides.PointwiseGuide(5)
    variables = network.init(key, image)
    noise = np.random.default_rng(3)
    variables = jax.tree.map(lambda v: v + noise.uniform(0.02, 0.3, v.shape), variables)
    variables = jax.tree.map(lambda v: v.astype(jnp.float32), variables)
    weights = variables["params"]
    if guide == "pointwise":
        mean, variance = (variables["batch_stats"]["batch_norm"][k] for k in ("mean", "variance"))
        scale = jax.lax.rsqrt(variance + norms.EPSILON)
        weights = {
            "weights": weights["hidden"] * scale[None],
            "offsets": weights["batch_norm"]["beta"] - mean * scale,
            "out": weights["out"][:, 0],
            "bias": weights["bias"] - 0.8,
        }
        variables["params"]["bias"] = weights["bias"]
    return weights, network.apply(variables, image)


@pytest.mark.parametrize("guide", guide_functions.PARAMETERS)
def test_guided_slice_matches_guide_network_and_reference(guide, monkeypatch):
    monkeypatch.setattr(guides, "KNOTS", 4)  # of 16: quick to compile
    case = cases.Case("guided", (3, 4, 3), (6, 21), offset=guide == "curves")
    arrays, options = problem(case, batch=2)
    grid, _, image = arrays["slice_apply"]
    parameters, guided = guide_parameters(guide, image)
    assert float(guided.max() - guided.min()) > 0.3, "the guide must vary to be tested"
    expected = reference.slice_apply(grid, guided, image, **options)
    function = functools.partial(gpu.guided_slice_apply, guide=guide, lattice=options["lattice"])
    function = functools.partial(function, dtype=jnp.float32)
    actual = interpreted(function, grid, image, parameters)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-5)
    assert f"bilateral_guided_slice_apply_gpu_{guide}" in lowering.for_cuda(
        function, grid, image, parameters, jnp.asarray(TRACED)
    )

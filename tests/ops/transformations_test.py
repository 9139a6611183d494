"""Every transformation and tool of JAX that a user may wrap around an operation, as one table.

The wrapped call must give what the plain one gives. Small shapes; about a minute.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import bilateral_jax as bj
from bilateral_jax import models, resize
from bilateral_jax.models import model as model_lib
from tests import cases

pytestmark = pytest.mark.usefixtures("compiled_quickly")

CASE = cases.Case("small", (2, 3, 4), (8, 6), n_out=2)
GRID, GUIDE, IMAGE, COTANGENT = (jnp.asarray(array) for array in CASE.arrays(batch=(4,)))
GRID_SHAPE = CASE.grid_shape
TABLE = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2, 3, 4, 2)), jnp.float32)


def operations(implementation):
    """name -> (function, arrays); every array has a leading axis of 4 examples."""
    options = {"implementation": implementation}
    return {
        "slice": (functools.partial(bj.slice, feature_axes=2, **options), (GRID, GUIDE)),
        "slice_apply": (functools.partial(bj.slice_apply, **options), (GRID, GUIDE, IMAGE)),
        "splat": (
            lambda values, guide: bj.splat(values, guide, GRID_SHAPE, **options),
            (IMAGE, GUIDE),
        ),
        "table_lookup": (bj.table_lookup, (TABLE, IMAGE)),
    }


def gradient(function):
    """The gradients of a function of arrays, in all of them."""

    def wrapped(*arrays):
        out, vjp = jax.vjp(function, *arrays)
        return vjp(jnp.cos(out))

    return wrapped


def not_jitted(function, arrays):
    with jax.disable_jit():
        return function(*arrays)


def evaluated_shape(function, arrays):
    out = jax.eval_shape(function, *arrays)
    return jax.tree.map(
        lambda s, a: jnp.asarray(a.reshape(s.shape), s.dtype), out, function(*arrays)
    )


def exported(function, arrays):
    shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in arrays]
    return export.export(jax.jit(function))(*shapes).call(*arrays)


def exported_for_any_batch(function, arrays):
    (batch,) = export.symbolic_shape("batch")
    shapes = [jax.ShapeDtypeStruct((batch, *a.shape[1:]), a.dtype) for a in arrays]
    return export.export(jax.jit(function))(*shapes).call(*arrays)


def exported_for_any_size(function, arrays):
    height, width = export.symbolic_shape("height, width")
    shapes = [
        jax.ShapeDtypeStruct(
            (4, height, width, *a.shape[3:]) if a.shape[1:3] == (8, 6) else a.shape, a.dtype
        )
        for a in arrays
    ]
    return export.export(jax.jit(function))(*shapes).call(*arrays)


def sharded(axis_type, spec, function, arrays):
    mesh = jax.make_mesh((4,), ("i",), axis_types=(axis_type,))

    def placed(array):
        own = spec if array.shape[1:3] == (8, 6) or spec[0] else PartitionSpec()
        return jax.device_put(array, NamedSharding(mesh, own))

    with jax.set_mesh(mesh):
        return function(*map(placed, arrays))


def shard_mapped(check_vma, function, arrays):
    mesh = jax.make_mesh((4,), ("i",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("i")
    mapped = jax.shard_map(function, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=check_vma)
    return mapped(*arrays)


def scanned(function, arrays):
    def step(carry, arrays):
        return carry, jax.tree.map(lambda a: a[0], function(*(a[None] for a in arrays)))

    return jax.lax.scan(step, 0, arrays)[1]


BATCH, ROWS = PartitionSpec("i"), PartitionSpec(None, "i")
# name -> function of (operation, arrays) that must give what `operation(*arrays)` gives
TOOLS = {
    "jit": lambda f, a: jax.jit(f)(*a),
    "disable_jit": not_jitted,
    "eval_shape": evaluated_shape,
    "compiled ahead of time": lambda f, a: jax.jit(f).lower(*a).compile()(*a),
    "vmap": lambda f, a: jax.vmap(f)(*a),
    "vmap of vmap": lambda f, a: jax.tree.map(
        lambda x: x[0], jax.vmap(jax.vmap(f))(*(x[None] for x in a))
    ),
    "pmap": lambda f, a: jax.pmap(f)(*a),
    "lax.map": lambda f, a: jax.lax.map(lambda one: f(*one), a),
    "scan": scanned,
    "cond": lambda f, a: jax.lax.cond(True, f, lambda *a: jax.tree.map(jnp.zeros_like, f(*a)), *a),
    "checkpoint": lambda f, a: jax.checkpoint(f)(*a),
    "linearize": lambda f, a: jax.linearize(f, *a)[0],
    "export": exported,
    "export for any batch": exported_for_any_batch,
    "export for any size": exported_for_any_size,
    "shard_map": functools.partial(shard_mapped, True),
    "shard_map, check_vma=False": functools.partial(shard_mapped, False),
    "sharded batch": functools.partial(sharded, AxisType.Auto, BATCH),
    "sharded rows": functools.partial(sharded, AxisType.Auto, ROWS),
    "explicit batch": functools.partial(sharded, AxisType.Explicit, BATCH),
    "explicit rows": functools.partial(sharded, AxisType.Explicit, ROWS),
    "explicit batch, jit": lambda f, a: sharded(AxisType.Explicit, BATCH, jax.jit(f), a),
}
# What takes one example at a time, not a batch.
ONE_BY_ONE = ("vmap", "vmap of vmap", "pmap", "lax.map")


def close(actual, expected):
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=2e-5 * max(1, np.abs(other).max()), rtol=0)


@functools.cache
def plain(implementation, name, differentiated):
    function, arrays = operations(implementation)[name]
    function = gradient(function) if differentiated else function
    return jax.tree.map(np.asarray, jax.jit(function)(*arrays))


@pytest.mark.parametrize("differentiated", [False, True], ids=["value", "gradient"])
@pytest.mark.parametrize(
    ("name", "implementation"),
    [
        ("slice_apply", None),
        ("slice_apply", "reference"),
        ("splat", None),
        ("splat", "reference"),
        ("table_lookup", None),
    ],
)
@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.filterwarnings("ignore:.*pmap.*:DeprecationWarning")
def test_a_wrapped_operation_equals_the_plain_one(tool, name, differentiated, implementation):
    function, arrays = operations(implementation)[name]
    expected = plain(implementation, name, differentiated)
    function = gradient(function) if differentiated else function
    close(TOOLS[tool](function, arrays), expected)


def test_one_grid_for_a_batch_in_a_shard_map_sums_its_gradient():
    mesh = jax.make_mesh((4,), ("i",), axis_types=(AxisType.Auto,))
    none, batch = PartitionSpec(), PartitionSpec("i")
    mapped = jax.shard_map(
        bj.slice_apply, mesh=mesh, in_specs=(none, batch, batch), out_specs=batch
    )
    arrays = GRID[0], GUIDE, IMAGE
    close(gradient(mapped)(*arrays), gradient(bj.slice_apply)(*arrays))


def test_one_grid_for_a_batch_on_an_explicit_mesh_keeps_its_sharding():
    mesh = jax.make_mesh((4,), ("i",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        place = functools.partial(jax.device_put, device=NamedSharding(mesh, BATCH))
        arrays = (
            jax.device_put(GRID[0], NamedSharding(mesh, PartitionSpec())),
            *map(place, (GUIDE, IMAGE)),
        )
        out = bj.slice_apply(*arrays)
        assert jax.typeof(out).sharding.spec[0] == "i"
        gradients = gradient(bj.slice_apply)(*arrays)
    close(gradients, gradient(bj.slice_apply)(GRID[0], GUIDE, IMAGE))


@pytest.mark.parametrize("implementation", cases.IMPLEMENTATIONS)
def test_vmap_over_no_examples_is_empty(implementation):
    for name, (function, arrays) in operations(implementation).items():
        out = jax.vmap(function)(*(array[:0] for array in arrays))
        assert out.shape == (0, *function(*arrays).shape[1:]), name


def test_symbolic_sizes_refuse_a_named_implementation_in_a_sentence():
    function, arrays = operations("xla")["slice_apply"]
    with pytest.raises(ValueError, match="'xla': it is made for sizes known .* leave implement"):
        exported_for_any_size(function, arrays)


SMALL = {"net_input_size": 16, "spatial_bin": 4, "luma_bins": 2, "guide_complexity": 3}


def exported_model(name, hyperparameters, sizes):
    """A compiled model and its program for symbolic sizes."""
    module = models.create(name, hyperparameters)
    leaves = jax.eval_shape(lambda: model_lib.Model.init(module, jax.random.key(1)))
    rng = np.random.default_rng(1)
    model = jax.tree.map(lambda leaf: rng.uniform(0, 0.1, leaf.shape).astype(leaf.dtype), leaves)
    function = jax.jit(lambda image: model(image))
    shape = jax.ShapeDtypeStruct(export.symbolic_shape(sizes), jnp.float32)
    return function, export.export(function)(shape)


@pytest.mark.parametrize(
    "name, hyperparameters, sizes",
    [
        ("HDRNetCurves", SMALL, "batch, 20, 24, 3"),
        ("HDRNetCurves", SMALL, "1, height, width, 3"),
        ("HDRNetPointwiseNNGuide", SMALL, "1, height, width, 3"),
        ("UPE", SMALL, "1, height, width, 3"),
        ("CAN", {"dilations": (1, 2)}, "1, height, width, 3"),
        ("DPED", {"width": 4, "blocks": 1}, "1, height, width, 3"),
    ],
)
def test_models_export_for_any_size(name, hyperparameters, sizes):
    model, program = exported_model(name, hyperparameters, sizes)
    image = jax.random.uniform(jax.random.key(0), (1, 20, 24, 3))
    expected = model(image)
    assert np.isfinite(expected).all() and np.std(expected) > 0
    close(program.call(image), expected)


def test_a_pyramid_refuses_symbolic_sizes_in_a_sentence():
    with pytest.raises(ValueError, match="image pyramid is exported for one size.*height"):
        exported_model("HDRNetGaussianPyrNN", SMALL, "1, height, width, 3")


def test_an_exported_hdrnet_is_saved_restored_and_takes_little_memory():
    pytest.importorskip("flatbuffers", reason="jax.export serialises by flatbuffers")
    model, program = exported_model("HDRNetCurves", SMALL, "1, height, width, 3")
    restored = export.deserialize(program.serialize())
    image = jax.random.uniform(jax.random.key(0), (1, 20, 24, 3))
    close(restored.call(image), model(image))
    large = jax.ShapeDtypeStruct((1, 400, 500, 3), jnp.float32)
    memory = jax.jit(restored.call).lower(large).compile().memory_analysis()
    # Matrices of all pixels at once would take 400 bytes of each.
    assert memory.temp_size_in_bytes < 60 * 400 * 500


@pytest.mark.parametrize("method", resize.METHODS)
@pytest.mark.parametrize("size", [(7, 9), (40, 33)])
def test_resize_exports_for_any_size(size, method):
    shape = jax.ShapeDtypeStruct(export.symbolic_shape("height, width, 3"), jnp.float32)
    function = functools.partial(resize.resize, size=(16, 16), method=method)
    image = jax.random.uniform(jax.random.key(0), (*size, 3))
    close(export.export(jax.jit(function))(shape).call(image), function(image))


@pytest.mark.parametrize("implementation", cases.IMPLEMENTATIONS)
def test_operations_take_float64(implementation):
    """That float32 stays float32 with 64-bit numbers enabled: `x64_test.py`."""
    for name, (function, arrays) in operations(implementation).items():
        expected = plain(implementation, name, False)
        with jax.enable_x64(True):
            out = function(*(array.astype(jnp.float64) for array in arrays))
            assert out.dtype == jnp.float64
            close(out, expected)

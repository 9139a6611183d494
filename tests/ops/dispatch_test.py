"""Choice of implementation, and the errors when a named one cannot run."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bilateral_jax as bj
from bilateral_jax.kernels import pallas
from bilateral_jax.ops import dispatch
from tests import cases, lowering

pytestmark = [
    pytest.mark.filterwarnings("ignore:The Pallas Triton backend:DeprecationWarning"),
    pytest.mark.usefixtures("compiled_quickly"),
]
CASE = cases.Case("small", (2, 3, 3), (4, 6))
OPERATIONS = ("slice_apply", "splat_apply", "guide_vjp")


def arrays(dtype=np.float32):
    grid, guide, image, _ = CASE.arrays(0)
    return tuple(jnp.asarray(array, dtype) for array in (grid, guide, image))


def loss(grid, guide, image, implementation=None):
    return jnp.sum(bj.slice_apply(grid, guide, image, implementation=implementation) ** 2)


def gradients(implementation=None):
    return jax.grad(functools.partial(loss, implementation=implementation), (0, 1, 2))


def ran(program):
    """`{operation: implementations}` named in a lowered program."""
    found = {}
    for operation in OPERATIONS:
        names = set(re.findall(rf"bilateral_{operation}_([a-z]+)", program))
        if names:
            found[operation] = names
    return found


def all_by(name):
    return {operation: {name} for operation in OPERATIONS}


@pytest.fixture
def kernels_by_default(monkeypatch):
    """The kernels as the defaults of their platforms."""
    table = {"cpu": ("xla",), "cuda": ("gpu", "xla"), "tpu": ("tpu", "xla")}
    monkeypatch.setattr(dispatch, "_DEFAULT", table)
    jax.clear_caches()
    yield
    jax.clear_caches()


# Transformations under which a named implementation must run, forward and backward.
UNDER = {
    "jit": lambda name: (gradients(name), arrays()),
    "vmap": lambda name: (jax.vmap(gradients(name)), stacked(2)),
    "pmap": lambda name: (jax.pmap(gradients(name)), stacked(2)),
    "scan": lambda name: (
        lambda *many: jax.lax.scan(lambda _, one: (0, gradients(name)(*one)), 0, many)[1],
        stacked(2),
    ),
    "remat": lambda name: (
        jax.grad(jax.checkpoint(functools.partial(loss, implementation=name)), (0, 1, 2)),
        arrays(),
    ),
}


def stacked(count):
    return tuple(jnp.stack([array] * count) for array in arrays())


@pytest.mark.parametrize("name", cases.IMPLEMENTATIONS)
@pytest.mark.parametrize("transformation", UNDER)
def test_the_named_implementation_runs_forward_and_backward(transformation, name):
    function, operands = UNDER[transformation](name)
    function = function if transformation == "pmap" else jax.jit(function)
    assert ran(function.lower(*operands).as_text()) == all_by(name)


@pytest.mark.parametrize("transformation", UNDER)
@pytest.mark.parametrize(("name", "lower"), [("gpu", "for_cuda"), ("tpu", "for_tpu")])
def test_a_named_kernel_runs_on_its_platform(transformation, name, lower):
    function, operands = UNDER[transformation](name)
    program = getattr(lowering, lower)(function, *operands)
    found = ran(program)
    assert found["splat_apply"] == {name} and found["slice_apply"] == {name}
    assert not set.union(*found.values()) - {name}


@pytest.mark.parametrize("name", ["gpu", "tpu"])
def test_a_kernel_on_the_wrong_platform_is_refused_by_name(name):
    with pytest.raises(ValueError, match=f"'{name}'.* run on .* alone, and the program is for cpu"):
        bj.slice_apply(*arrays(), implementation=name)
    with pytest.raises(ValueError, match=f"'{name}'.*the program is for cpu"):
        jax.jit(gradients(name)).lower(*arrays())


@pytest.mark.parametrize("name", ["gpu", "tpu"])
def test_interpreted_kernels_under_pmap_and_vmap(name):
    expected = gradients("xla")(*arrays())
    for transformation in ("pmap", "vmap"):
        function, operands = UNDER[transformation](name)
        with pallas.interpreted():
            actual = function(*operands)
        for got, one in zip(actual, expected, strict=True):
            for k in range(2):
                np.testing.assert_allclose(got[k], one, rtol=0, atol=3e-5 * np.abs(one).max())


@pytest.mark.parametrize("name", ["gpu", "tpu"])
def test_an_unsupported_call_says_why(name):
    with jax.enable_x64(True), pallas.interpreted():
        with pytest.raises(ValueError, match=f"implementation='{name}': .*float64"):
            bj.slice_apply(*arrays(np.float64), implementation=name)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'reference', 'xla', 'gpu', 'tpu', got 'cuda'"):
        bj.slice_apply(*arrays(), implementation="cuda")


@pytest.mark.parametrize("lower", ["for_cuda", "for_tpu"])
def test_none_is_xla_wherever_no_kernel_has_been_measured(lower):
    assert ran(getattr(lowering, lower)(gradients(), *arrays())) == all_by("xla")


def test_none_gathers_many_features_only_on_a_cpu():
    rng = np.random.default_rng(0)
    guide = jnp.asarray(rng.random((1, 4, 6)), jnp.float32)

    def gradients(features, implementation=None):
        grid = jnp.asarray(rng.standard_normal((1, 2, 3, 3, features)), jnp.float32)

        def loss(grid, guide):
            return jnp.sum(bj.slice(grid, guide, implementation=implementation) ** 2)

        return jax.jit(jax.value_and_grad(loss, (0, 1))), (grid, guide)

    def program(features, implementation=None):
        function, operands = gradients(features, implementation)
        return ran(function.lower(*operands).as_text())

    # What follows in the gradients is no slice, and an image makes it another: both are dense.
    assert program(12) == all_by("xla") | {"slice_apply": {"reference"}}
    assert program(4) == program(12, "xla") == all_by("xla")
    function, operands = gradients(12)
    assert ran(lowering.for_cuda(function, *operands)) == all_by("xla")
    exported = jax.export.export(function)(*operands).mlir_module()
    assert ran(exported) == all_by("xla")


@pytest.mark.parametrize(("name", "lower"), [("gpu", "for_cuda"), ("tpu", "for_tpu")])
def test_none_picks_the_platforms_first_that_takes_the_call(name, lower, kernels_by_default):
    lower = getattr(lowering, lower)
    assert ran(lower(gradients(), *arrays())) == all_by(name)
    half = [jnp.asarray(array, jnp.float16) for array in arrays()]
    assert ran(lower(gradients(), *half)) == all_by("gpu" if name == "gpu" else "xla")
    # The same traced function on the machine's own platform.
    assert ran(jax.jit(gradients()).lower(*arrays()).as_text()) == all_by("xla")


def test_export_is_xla_for_all_platforms_and_for_one(kernels_by_default):
    exported = jax.export.export(jax.jit(gradients()), platforms=["cpu", "cuda", "tpu"])(*arrays())
    assert ran(exported.mlir_module()) == all_by("xla")
    for actual, expected in zip(exported.call(*arrays()), gradients()(*arrays()), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-5)
    one = jax.export.export(jax.jit(gradients()), platforms=["cuda"])(*arrays())
    assert ran(one.mlir_module()) == all_by("xla")


def test_a_named_kernel_is_not_exported_for_several_platforms():
    export = jax.export.export(jax.jit(gradients("tpu")), platforms=["cpu", "tpu"])
    with pytest.raises(ValueError, match="the program is for cpu, tpu; .* pass 'xla'"):
        export(*arrays())


@pytest.mark.parametrize("name", ["gpu", "tpu"])
def test_interpreted_kernels_give_the_gradients_and_a_second_order(name):
    def curvature(implementation):
        def direction(guide):
            grid, _, image = arrays()
            return jnp.sum(gradients(implementation)(grid, guide, image)[0] ** 2)

        return jax.grad(direction)

    with pallas.interpreted():
        actual = jax.jit(gradients(name))(*arrays())
        second = jax.jit(curvature(name))(arrays()[1])
    for got, expected in zip(actual, gradients("reference")(*arrays()), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=3e-5 * np.abs(expected).max())
    expected = curvature("reference")(arrays()[1])
    np.testing.assert_allclose(second, expected, rtol=0, atol=3e-5 * np.abs(expected).max())

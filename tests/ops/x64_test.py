"""Every operation, implementation and gradient with 64-bit numbers enabled: float32 stays float32.

The values must be those without; kernels are interpreted, and lowered for their platform, too.
About a minute of processor time.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bilateral_jax as bj
from bilateral_jax.kernels import pallas
from tests import cases, lowering
from tests.ops import guided_test

pytestmark = [
    pytest.mark.filterwarnings("ignore:The Pallas Triton backend:DeprecationWarning"),
    pytest.mark.usefixtures("compiled_quickly"),
]
CASE = cases.Case("small", (2, 3, 3), (5, 6))
GRID, GUIDE, IMAGE, _ = (jnp.asarray(array) for array in CASE.arrays(3, (2,)))
WINDOWS = jnp.asarray([[3, 1, 29, 31], [0, 14, 9, 20]], jnp.int32)
TABLE = jnp.asarray(np.random.default_rng(2).normal(size=(2, 3, 3, 3, 2)), jnp.float32)
POINTS = jnp.asarray(np.random.default_rng(1).uniform(size=(2, 7, 3)), jnp.float32)
WEIGHTS = jnp.abs(GUIDE)
KERNELS = ("gpu", "tpu")


def _guided(kind):
    parameters = guided_test.arrays(kind)[2]

    def function(grid, image, options):
        return guided_test.sliced(grid, image, parameters, guide=kind, **options)

    return function, (GRID, IMAGE)


# name -> (function of arrays and the options of an implementation, arrays)
OPERATIONS = {
    "slice": (lambda g, u, o: bj.slice(g, u, feature_axes=2, **o), (GRID, GUIDE)),
    "slice_apply": (lambda g, u, i, o: bj.slice_apply(g, u, i, **o), (GRID, GUIDE, IMAGE)),
    "slice_apply of traced windows": (
        lambda g, u, i, o: bj.slice_apply(g, u, i, window=WINDOWS, **o),
        (GRID, GUIDE, IMAGE),
    ),
    "slice_apply between corner nodes": (
        lambda g, u, i, o: bj.slice_apply(g, u, i, convention="corner_nodes", **o),
        (GRID, GUIDE, IMAGE),
    ),
    "splat": (lambda v, u, o: bj.splat(v, u, (2, 3, 3), **o), (IMAGE, GUIDE)),
    "splat with weights on a ring": (
        lambda v, u, w, o: bj.splat(
            v, u, (2, 3, 3), weights=w, boundary=("clamp", "wrap", "clamp"), **o
        ),
        (IMAGE, GUIDE, WEIGHTS),
    ),
    "guided_slice_apply, curves": _guided("curves"),
    "guided_slice_apply, pointwise": _guided("pointwise"),
}
INTERPRETED = (
    "slice",
    "slice_apply of traced windows",
    "splat with weights on a ring",
    "guided_slice_apply, curves",
    "guided_slice_apply, pointwise",
)
# Without a choice of implementation.
PLAIN = {
    "table_lookup": (bj.table_lookup, (TABLE, IMAGE)),
    "table_lookup, tetrahedral": (
        lambda t, i: bj.table_lookup(t, i, interpolation="tetrahedral"),
        (TABLE, IMAGE),
    ),
    "apply": (lambda i: bj.apply(bj.slice(GRID, GUIDE, feature_axes=2), i), (IMAGE,)),
    "sample": (lambda g, p: bj.sample(g[0], p[0]), (GRID, POINTS)),
    "blur": (lambda g: bj.blur(g, 0.8, feature_axes=2), (GRID,)),
    "bilateral_filter": (
        lambda i, u: bj.bilateral_filter(i, u, sigma_space=3, sigma_range=0.3),
        (IMAGE, GUIDE),
    ),
}


def value_and_gradients(function):
    def wrapped(*arrays):
        out, vjp = jax.vjp(function, *arrays)
        return out, vjp(jax.tree.map(jnp.cos, out))

    return wrapped


def bound(name, implementation):
    function, arrays = OPERATIONS[name]
    options = {"implementation": implementation}
    return value_and_gradients(lambda *arrays: function(*arrays, options)), arrays


def compiled(function, arrays):
    return jax.jit(function)(*arrays)


@functools.cache
def expected(name):
    return compiled(*bound(name, "reference"))


def assert_float32_and_close(actual, expected):
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert one.dtype == jnp.float32 and one.shape == other.shape
        scale = max(1, float(jnp.abs(other).max()))
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * scale)


def calls():
    """Every operation by every implementation; kernels once each, since interpreting is slow."""
    for name in OPERATIONS:
        yield from ((name, implementation) for implementation in cases.IMPLEMENTATIONS)
        if name in INTERPRETED:
            yield from ((name, kernel) for kernel in KERNELS)


@pytest.mark.parametrize("name, implementation", list(calls()))
def test_operations_and_their_gradients(name, implementation):
    without = expected(name)
    function, arrays = bound(name, implementation)
    with jax.enable_x64(True), pallas.interpreted():
        actual = compiled(function, arrays)
    assert_float32_and_close(actual, without)


@pytest.mark.parametrize("implementation", KERNELS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_kernels_lower_for_their_platform(name, implementation):
    lower = {"gpu": lowering.for_cuda, "tpu": lowering.for_tpu}[implementation]
    function, arrays = bound(name, implementation)
    with jax.enable_x64(True):
        assert f"_{implementation}" in lower(function, *arrays)


@pytest.mark.parametrize("name", PLAIN)
def test_operations_without_a_choice(name):
    function, arrays = PLAIN[name]
    without = compiled(value_and_gradients(function), arrays)
    with jax.enable_x64(True):
        assert_float32_and_close(compiled(value_and_gradients(function), arrays), without)

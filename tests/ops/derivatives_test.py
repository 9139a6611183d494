"""JAX transformations to second order on every implementation, and which implementation ran."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bilateral_jax as bj
from bilateral_jax.ops import binding
from tests import cases

# Optimised programs are tested in ops/xla_test.py.
pytestmark = pytest.mark.usefixtures("compiled_quickly")

every_implementation = pytest.mark.parametrize("implementation", cases.IMPLEMENTATIONS)
CASE = cases.Case("small", (2, 3, 3), (4, 5), n_out=2, n_in=2)


def smooth_arrays(seed=0, batch=()):
    """float64 arrays whose guides stay a tenth of a cell away from every kink."""
    grid, _, image, cotangent = CASE.arrays(seed, batch)
    rng = np.random.default_rng(seed + 100)
    size = (*batch, *CASE.size)
    depth = rng.integers(-1, 3, size=size) + rng.uniform(0.1, 0.9, size=size)
    guide = (depth + 0.5) / CASE.grid_shape[2]
    return tuple(np.asarray(a, np.float64) for a in (grid, guide, image, cotangent))


def energy(implementation):
    """A scalar that is nonlinear in every argument, so that second derivatives exist."""

    def function(grid, guide, image):
        out = bj.slice_apply(grid, guide, image, implementation=implementation)
        back = bj.splat(out**2, guide, CASE.grid_shape, implementation=implementation)
        return jnp.sum(jnp.sin(out)) + 0.1 * jnp.sum(back**2)

    return function


@every_implementation
def test_derivatives_equal_finite_differences_to_second_order(implementation):
    with jax.enable_x64(True):
        arrays = tuple(jnp.asarray(a) for a in smooth_arrays()[:3])
        rng = np.random.default_rng(1)
        direction = tuple(jnp.asarray(rng.normal(size=a.shape)) for a in arrays)
        function = energy(implementation)
        gradient = jax.jit(jax.grad(function, (0, 1, 2)))
        value = jax.jit(function)
        step = 1e-6

        def moved(sign):
            return tuple(a + sign * step * d for a, d in zip(arrays, direction, strict=True))

        slope = (value(*moved(1)) - value(*moved(-1))) / (2 * step)
        _, forward = jax.jit(lambda a, d: jax.jvp(function, a, d))(arrays, direction)
        reverse = sum(jnp.vdot(g, d) for g, d in zip(gradient(*arrays), direction, strict=True))
        np.testing.assert_allclose(forward, slope, rtol=1e-7)
        np.testing.assert_allclose(reverse, forward, rtol=1e-11)

        # Hessian times direction: differences of gradients, forward over reverse, reverse twice.
        bend = [
            (up - down) / (2 * step)
            for up, down in zip(gradient(*moved(1)), gradient(*moved(-1)), strict=True)
        ]

        def directional(*args):
            return sum(
                jnp.vdot(g, d)
                for g, d in zip(jax.grad(function, (0, 1, 2))(*args), direction, strict=True)
            )

        product = jax.jit(lambda a, d: jax.jvp(jax.grad(function, (0, 1, 2)), a, d))
        _, forward_reverse = product(arrays, direction)
        reverse_reverse = jax.jit(jax.grad(directional, (0, 1, 2)))(*arrays)
        for difference, first, second in zip(bend, forward_reverse, reverse_reverse, strict=True):
            scale = np.abs(first).max()
            np.testing.assert_allclose(difference / scale, first / scale, atol=1e-6)
            np.testing.assert_allclose(second / scale, first / scale, atol=1e-11)


@every_implementation
def test_hessian_in_the_guide_is_symmetric(implementation):
    grid, guide, image, _ = (np.asarray(a, np.float32) for a in smooth_arrays(2))
    function = energy(implementation)
    hessian = jax.hessian(lambda guide: function(grid, guide, image))(jnp.asarray(guide))
    matrix = np.asarray(hessian).reshape(20, 20)
    assert np.abs(matrix).max() > 1
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-5 * np.abs(matrix).max())


# The rules are common to all implementations, so one case is enough for the slower of them.
@pytest.mark.parametrize(
    "implementation, axes",
    [
        ("reference", (0, 0, 0)),
        ("xla", (0, 0, 0)),
        ("xla", (None, 1, 0)),
        ("xla", (3, 0, None)),
    ],
)
def test_vmap_equals_a_loop_forward_and_backward(implementation, axes):
    grid, guide, image, _ = (np.asarray(a, np.float32) for a in smooth_arrays(3))
    many = 3
    rng = np.random.default_rng(4)
    arrays = [
        array
        if axis is None
        else np.stack([array * (1 + 0.01 * rng.uniform()) for _ in range(many)], axis)
        for array, axis in zip((grid, guide, image), axes, strict=True)
    ]

    def gradients(grid, guide, image):
        return jax.value_and_grad(energy(implementation), (0, 1, 2))(grid, guide, image)

    together = jax.jit(jax.vmap(gradients, axes))(*arrays)
    one_at_a_time = jax.jit(gradients)
    for k in range(many):
        own = [
            array if axis is None else np.take(array, k, axis)
            for array, axis in zip(arrays, axes, strict=True)
        ]
        alone = one_at_a_time(*own)
        chex.assert_trees_all_close(
            jax.tree.map(lambda many, k=k: many[k], together), alone, rtol=2e-4, atol=2e-4
        )


@every_implementation
def test_vmap_of_windows(implementation):
    grid, guide, image, _ = (np.asarray(a, np.float32) for a in smooth_arrays(5))
    windows = jnp.array([(0, 0, 4, 5), (3, 2, 9, 12)])

    def crop(window):
        return bj.slice_apply(grid, guide, image, window=window, implementation=implementation)

    together = jax.vmap(crop)(windows)
    for k, window in enumerate(windows.tolist()):
        np.testing.assert_allclose(together[k], crop(tuple(window)), atol=3e-6)


@every_implementation
def test_pmap_scan_and_remat(implementation):
    grid, guide, image, _ = (np.asarray(a, np.float32) for a in smooth_arrays(6, (2,)))
    gradient = jax.grad(energy(implementation), (0, 1, 2))
    expected = [gradient(grid[k], guide[k], image[k]) for k in range(2)]
    mapped = jax.pmap(gradient)(grid, guide, image)
    _, scanned = jax.lax.scan(lambda _, xs: (None, gradient(*xs)), None, (grid, guide, image))
    again = jax.grad(jax.checkpoint(energy(implementation)), (0, 1, 2))
    remat = jax.vmap(again)(grid, guide, image)
    for result in (mapped, scanned, remat):
        for k in range(2):
            for actual, exact in zip(result, expected[k], strict=True):
                scale = np.abs(exact).max()
                np.testing.assert_allclose(actual[k] / scale, exact / scale, atol=1e-5)


@every_implementation
def test_slice_and_splat_are_each_others_linear_transpose(implementation):
    grid, guide, _, cotangent = (np.asarray(a, np.float32) for a in smooth_arrays(7))
    grid = grid[..., 0]

    def slicing(grid):
        return bj.slice(grid, guide, implementation=implementation)

    def splatting(values):
        return bj.splat(values, guide, CASE.grid_shape, implementation=implementation)

    (back,) = jax.linear_transpose(slicing, grid)(jnp.asarray(cotangent))
    np.testing.assert_allclose(back, splatting(cotangent), atol=1e-6)
    (there,) = jax.linear_transpose(splatting, cotangent)(jnp.asarray(grid))
    np.testing.assert_allclose(there, slicing(grid), atol=1e-6)


@every_implementation
def test_the_named_implementation_is_in_the_program_forward_and_backward(implementation):
    arrays = smooth_arrays(8)[:3]
    other = next(name for name in cases.IMPLEMENTATIONS if name != implementation)
    program = jax.jit(jax.grad(energy(implementation), (0, 1, 2))).lower(*arrays).as_text()
    for operation in ("slice_apply", "splat_apply"):
        assert f"bilateral_{operation}_{implementation}" in program
        assert f"bilateral_{operation}_{other}" not in program


def test_the_default_on_a_cpu_is_xla_and_it_exports():
    arrays = [np.asarray(a, np.float32) for a in smooth_arrays(9)[:3]]
    function = jax.jit(bj.slice_apply)
    assert "bilateral_slice_apply_xla" in function.lower(*arrays).as_text()
    exported = jax.export.export(function, platforms=["cpu", "cuda", "tpu"])(*arrays)
    np.testing.assert_allclose(exported.call(*arrays), function(*arrays), atol=1e-6)


def test_an_eager_call_compiles_once():
    arrays = [np.asarray(a, np.float32) for a in smooth_arrays(10)[:3]]
    bj.slice_apply(*arrays)
    before = binding._compiled.cache_info()
    bj.slice_apply(*arrays)
    after = binding._compiled.cache_info()
    assert after.misses == before.misses and after.hits == before.hits + 1

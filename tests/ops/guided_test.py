"""Slicing with a learned guide: against its two steps, transformed, on every kernel."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bilateral_jax as bj
from bilateral_jax.kernels import pallas
from bilateral_jax.ops import guides
from tests import cases, lowering

pytestmark = [
    pytest.mark.filterwarnings("ignore:The Pallas Triton backend:DeprecationWarning"),
    pytest.mark.usefixtures("compiled_quickly"),
]
CASE = cases.Case("small", (2, 3, 3), (5, 6))
each_guide = pytest.mark.parametrize("guide", guides.PARAMETERS)
each_kernel = pytest.mark.parametrize("name", ["gpu", "tpu"])


def arrays(guide, batch=(), seed=0):
    """`(grid, image, parameters)`; guides cover [0, 1] and reach their bounds."""
    grid, _, image, _ = CASE.arrays(seed, batch)
    rng = np.random.default_rng(seed + 50)
    shapes = guides.PARAMETERS[guide]
    parameters = {
        name: rng.normal(size=[4 if axis == "k" else axis for axis in axes]).astype(np.float32)
        for name, axes in shapes.items()
    }
    if guide == "curves":
        parameters["shifts"] = np.sort(rng.random((3, 4)), axis=1).astype(np.float32)
    return jnp.asarray(grid), jnp.asarray(image), jax.tree.map(jnp.asarray, parameters)


def sliced(grid, image, parameters, **options):
    return bj.guided_slice_apply(grid, image, parameters=parameters, **options)


def float64_guide(guide, image, parameters):
    """The definition in NumPy, at double precision."""
    p = {name: np.asarray(value, np.float64) for name, value in parameters.items()}
    image = np.asarray(image, np.float64)
    if guide == "curves":
        v = image @ p["ccm"] + p["ccm_bias"]
        ramps = np.maximum(v[..., None] - p["shifts"], 0)
        total = p["mix_bias"] + (p["mix"] * (p["slopes"] * ramps).sum(-1)).sum(-1)
        return np.clip(total, 0, 1)
    hidden = np.maximum(image @ p["weights"] + p["offsets"], 0)
    return 1 / (1 + np.exp(-(p["bias"] + hidden @ p["out"])))


@each_guide
@pytest.mark.parametrize("name", cases.IMPLEMENTATIONS)
def test_equals_the_definition(name, guide):
    grid, image, parameters = arrays(guide, (2,))
    plane = float64_guide(guide, image, parameters)
    assert plane.std() > 0.02
    expected = bj.slice_apply(grid, jnp.asarray(plane, jnp.float32), image)
    actual = sliced(grid, image, parameters, guide=guide, implementation=name)
    np.testing.assert_allclose(actual, expected, atol=3e-5)


@each_kernel
@each_guide
@pytest.mark.parametrize("options", [{}, {"window": (11, 3, 29, 31)}], ids=["whole", "window"])
def test_the_kernels_equal_the_two_steps(name, guide, options):
    grid, image, parameters = arrays(guide, (2,))
    call = functools.partial(sliced, guide=guide, **options)
    kernel = functools.partial(call, implementation=name)
    with pallas.interpreted():
        actual = jax.jit(kernel)(grid, image, parameters)
    np.testing.assert_allclose(actual, call(grid, image, parameters), atol=3e-5)


@each_kernel
@each_guide
def test_the_kernel_is_in_the_program_and_its_derivatives_are_too(name, guide):
    def loss(*operands):
        call = sliced(*operands, guide=guide, implementation=name)
        return jnp.sum(call**2)

    lower = lowering.for_cuda if name == "gpu" else lowering.for_tpu
    operands = arrays(guide, (1,))
    assert f"bilateral_guided_slice_apply_{name}" in lower(loss, *operands)
    backward = lower(jax.grad(loss, (0, 1, 2)), *operands)
    assert f"bilateral_splat_apply_{name}" in backward
    assert f"bilateral_guide_vjp_{name}" in backward


@pytest.mark.parametrize(("name", "guide"), [("gpu", "curves"), ("tpu", "pointwise")])
def test_the_kernels_gradients_are_those_of_xla(name, guide):
    def gradients(implementation):
        def loss(*operands):
            return jnp.sum(sliced(*operands, guide=guide, implementation=implementation) ** 2)

        return jax.jit(jax.grad(loss, (0, 1, 2)))(*arrays(guide, (1,)))

    with pallas.interpreted():
        actual = gradients(name)

    def close(got, expected):
        np.testing.assert_allclose(got, expected, rtol=0, atol=3e-5 * np.abs(expected).max())

    jax.tree.map(close, actual, gradients("xla"))


@each_guide
def test_gradients_are_those_of_the_two_steps(guide):
    def fused(*operands):
        return jnp.sum(sliced(*operands, guide=guide) ** 2)

    def steps(grid, image, parameters):
        plane = guides.FUNCTIONS[guide](image, **parameters)
        return jnp.sum(bj.slice_apply(grid, plane, image) ** 2)

    operands = arrays(guide)
    actual = jax.jit(jax.grad(fused, (0, 1, 2)))(*operands)
    expected = jax.jit(jax.grad(steps, (0, 1, 2)))(*operands)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5), actual, expected
    )

    # Forward mode over reverse mode.
    def along(function):
        gradient = jax.grad(function, 1)
        return jax.jvp(
            lambda i: gradient(operands[0], i, operands[2]), operands[1:2], operands[1:2]
        )

    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4),
        along(fused),
        along(steps),
    )


@each_guide
def test_vmap_of_images_windows_and_guides(guide):
    grid, image, parameters = arrays(guide, (3,))
    windows = jnp.asarray([[0, 0, 5, 6], [11, 3, 29, 31], [2, 2, 9, 9]], jnp.int32)
    call = functools.partial(sliced, guide=guide)
    together = call(grid, image, parameters, window=windows)
    one = lambda g, i, w: call(g, i, parameters, window=w)  # noqa: E731
    np.testing.assert_allclose(jax.vmap(one)(grid, image, windows), together, atol=1e-6)
    shared = jax.vmap(lambda i: call(grid[0], i, parameters))(image)
    np.testing.assert_allclose(shared[1], call(grid[0], image[1], parameters), atol=1e-6)
    scaled = jax.tree.map(lambda p: jnp.stack([p, 2 * p, 3 * p]), parameters)
    each = jax.vmap(lambda p: call(grid[0], image[0], p))(scaled)
    double = jax.tree.map(lambda p: 2 * p, parameters)
    np.testing.assert_allclose(each[1], call(grid[0], image[0], double), atol=1e-5)


def test_exports_as_xla():
    operands = arrays("curves")
    function = jax.jit(functools.partial(sliced, guide="curves"))
    exported = jax.export.export(function, platforms=["cpu", "cuda", "tpu"])(*operands)
    np.testing.assert_allclose(exported.call(*operands), function(*operands), atol=1e-6)


def test_half_precision_images_keep_a_float32_guide():
    grid, image, parameters = arrays("curves")
    half = sliced(grid.astype(jnp.bfloat16), image.astype(jnp.bfloat16), parameters, guide="curves")
    wide = sliced(
        grid.astype(jnp.bfloat16).astype(jnp.float32),
        image.astype(jnp.bfloat16).astype(jnp.float32),
        parameters,
        guide="curves",
    )
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), wide, rtol=2**-7, atol=2**-7)


MISTAKES = {
    "unknown guide": (lambda g, i, p: dict(guide="luma"), ValueError, "guide must be one of"),
    "a parameter short": (
        lambda g, i, p: dict(parameters={k: v for k, v in p.items() if k != "mix"}),
        ValueError,
        "parameters of a curves guide must be .*got",
    ),
    "a parameter's shape": (
        lambda g, i, p: dict(parameters=p | {"slopes": p["slopes"][:, :2]}),
        ValueError,
        "parameters\\['slopes'\\] must be",
    ),
    "four channels": (
        lambda g, i, p: dict(image=jnp.concatenate([i, i[..., :1]], -1)),
        ValueError,
        "3 channels",
    ),
    "integer image": (lambda g, i, p: dict(image=(255 * i).astype(jnp.uint8)), TypeError, "image"),
    "grid that does not fit": (lambda g, i, p: dict(grid=g[..., :2]), ValueError, "grid must end"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_errors_name_the_argument(mistake):
    change, error, message = MISTAKES[mistake]
    grid, image, parameters = arrays("curves")
    call = dict(grid=grid, image=image, parameters=parameters, guide="curves")
    with pytest.raises(error, match=message):
        bj.guided_slice_apply(**(call | change(grid, image, parameters)))

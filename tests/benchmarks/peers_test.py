"""A baseline that computes something else would be no baseline."""

import functools
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bilateral_jax as bj
from benchmarks.peers import color_tables, google, map_coordinates

GRID = (4, 3, 5)


def needs_torch():
    """The peer in PyTorch; a test that asks for it is skipped where there is none."""
    pytest.importorskip("torch", reason="PyTorch is optional: a peer of the benchmark alone")
    from benchmarks.peers import grid_sample

    return grid_sample


def operands(features=(3, 4)):
    """Grid, guide, image, cotangent, each with a leading axis."""
    rng = np.random.default_rng(0)
    # Guides away from cell centres, where google's smoothed tent differs by up to 1e-4, and where
    # the derivative jumps.
    guide = (rng.integers(0, 4, (1, 20, 30)) + rng.uniform(0.6, 1.4, (1, 20, 30))) / 5
    pixels = (1, 20, 30)
    arrays = (
        rng.normal(size=(1, *GRID, *features)),
        guide,
        rng.uniform(size=(*pixels, features[1] - 1)),
        rng.normal(size=(*pixels, features[0])),
    )
    return tuple(jnp.asarray(array, jnp.float32) for array in arrays)


@functools.cache
def expected():
    """Output and gradients of `reference`."""
    return everything(functools.partial(bj.slice_apply, implementation="reference"))


def everything(function):
    *primals, cotangent = operands()

    def run():
        out, pullback = jax.vjp(function, *primals)
        return out, *pullback(cotangent)

    return jax.jit(run)()


def agree(actual, wanted):
    for one, other in zip(actual, wanted, strict=True):
        scale = float(jnp.abs(other).max())
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * scale)


def test_google_maths_and_its_derivatives():
    agree(everything(jax.vmap(google.slice_apply)), expected())


def test_google_guide_beyond_the_border_is_constant():
    grid, guide, image, _ = (array[0] for array in operands())
    beyond = jnp.where(guide > 0.5, 1.37, -0.33)
    actual = google.slice_apply(grid, beyond, image)
    np.testing.assert_allclose(actual, bj.slice_apply(grid, beyond, image), atol=2e-5)


def test_torch_grid_sample_and_its_derivatives():
    peer = needs_torch()
    out, (grid, guide, image) = peer.forward_and_gradients(*operands())()
    agree([peer.forward(*operands())().permute(0, 2, 3, 1)], expected()[:1])
    grid = grid.unflatten(1, (3, 4)).permute(0, 4, 5, 3, 1, 2)
    planar = out.permute(0, 2, 3, 1), grid, guide, image.permute(0, 2, 3, 1)
    agree([array.numpy() for array in planar], expected())


def test_torch_takes_all_cores():
    needs_torch()
    import torch

    assert torch.get_num_threads() == os.cpu_count()


def test_scipy_interpolation():
    agree([map_coordinates.forward(*operands())()], [expected()[0][0]])


def test_the_transposes_are_splats():
    _, guide, image, _ = operands()
    values = jnp.concatenate([image, image**2], axis=-1)
    wanted = bj.splat(values, guide, GRID, implementation="reference")
    grid = jnp.zeros((*GRID, 6))
    autodiff = jax.vjp(lambda grid: google.gather_slice(grid, guide[0]), grid)[1](values[0])[0]
    agree([autodiff, google.splat(values[0], guide[0], GRID)], [wanted[0], wanted[0]])


def test_torch_transpose_is_a_splat():
    peer = needs_torch()
    _, guide, image, _ = operands()
    wanted = bj.splat(image, guide, GRID, implementation="reference")
    agree([peer.splat(GRID, image, guide)().permute(0, 3, 4, 2, 1).numpy()], [wanted])


def test_color_tables_look_up_what_ours_does():
    image = np.random.default_rng(0).uniform(size=(20, 30, 3)).astype(np.float32)
    table = jnp.asarray(np.random.default_rng(1).uniform(size=(5, 5, 5, 3)), jnp.float32)
    wanted = bj.table_lookup(table, image)
    for peer in (color_tables.gathers, color_tables.window, color_tables.dense):
        np.testing.assert_allclose(peer(table, jnp.asarray(image)), wanted, atol=1e-5)
    rounded = np.round(image * 255).astype(np.float32) / 255
    wanted = np.asarray(bj.table_lookup(table, rounded)) * 255
    eight_bit = np.asarray(color_tables.pillow(table, image)())
    np.testing.assert_allclose(eight_bit, wanted, atol=1)

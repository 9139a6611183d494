"""The kernels, interpreted, against published results of the original operation.

A published CUDA kernel has wrong gradients of grid and guide for three channels, which its own
tests, with one channel or as many outputs as columns, cannot see: three channels are tested here.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bilateral_jax as bj
from bilateral_jax.kernels import pallas
from tests import assets

# Of the published cases those with the wrong gradients beside the right ones.
CASES = ("01_grid111", "09_integer_ratio4")
# Compiling is most of the time.
QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def published(name):
    with np.load(assets.path("golden", "hdrnet", "slice_cases.npz")) as data:
        return {key.split(".", 1)[1]: data[key] for key in data if key.startswith(f"{name}.")}


def forward_and_gradients(implementation, grid, guide, image, cotangent):
    forward = functools.partial(bj.slice_apply, implementation=implementation)
    out, transpose = jax.vjp(forward, grid, guide, image)
    return out, *transpose(cotangent)


def far(actual, expected):
    """The largest difference, in units of the largest expected value (at least 1)."""
    return np.abs(actual - expected).max() / max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("implementation", ["gpu", "tpu"])
@pytest.mark.parametrize("name", CASES)
def test_gradients_are_the_originals_and_not_the_published_wrong_ones(name, implementation):
    case = published(name)
    guide, image, cotangent = case["guide"], case["image"], jnp.float32(case["cotangent"])
    grid = case["grid"].reshape(*case["grid"].shape[:4], cotangent.shape[-1], -1)
    run = functools.partial(forward_and_gradients, implementation)
    with pallas.interpreted():
        out, d_grid, d_guide, d_image = jax.jit(run, compiler_options=QUICKLY)(
            grid, guide, image, cotangent
        )
    # The original's smoothed tent loses up to 1e-4 of the weight at a cell's centre.
    assert far(out, case["output"]) < 1.1e-4
    d_grid = np.asarray(d_grid).reshape(case["vjp_grid"].shape)
    assert far(d_grid, case["vjp_grid"]) < 2.1e-4
    assert far(d_image, case["vjp_image"]) < 1.1e-4
    # It also rounds the slope off within a twentieth of a cell.
    depth = guide * grid.shape[3] - 0.5
    away = (np.abs(depth - np.round(depth)) > 5e-2) & ~case["kink"].astype(bool)
    right = np.where(away, case["vjp_guide"], 0)
    d_guide = np.where(away, d_guide, 0)
    assert far(d_guide, right) < 2e-4
    assert far(d_grid, case["google_cuda_f32_vjp_grid_WRONG"]) > 0.1
    # With one plane there is no slope.
    wrong = np.where(away, case["google_cuda_f32_vjp_guide_WRONG"], 0)
    assert grid.shape[3] == 1 or far(d_guide, wrong) > 0.1

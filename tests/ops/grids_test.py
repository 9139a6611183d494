"""blur, sample, total_variation and identity_grid against SciPy, loops and closed forms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

import bilateral_jax as bj
from bilateral_jax import lattice
from tests import oracles

SCIPY_MODES = {"clamp": "nearest", "wrap": "wrap", "zero": "constant"}


@pytest.mark.parametrize("boundary", SCIPY_MODES)
@pytest.mark.parametrize("sigma", [0.4, 1.0, (2.5, 0.0, 0.7)])
def test_blur_equals_scipy(boundary, sigma):
    grid = np.random.default_rng(0).normal(size=(5, 7, 4, 3)).astype(np.float32)
    sigmas = np.broadcast_to(sigma, 3)
    expected = grid.astype(np.float64)
    for axis in range(3):
        if sigmas[axis] > 0:
            expected = scipy.ndimage.gaussian_filter1d(
                expected,
                sigmas[axis],
                axis,
                mode=SCIPY_MODES[boundary],
                radius=int(np.ceil(4 * sigmas[axis])),
            )
    np.testing.assert_allclose(bj.blur(grid, sigma, boundary=boundary), expected, atol=2e-6)


def test_blur_keeps_constants_and_leading_and_feature_axes_apart():
    grid = np.zeros((2, 4, 5, 6, 3, 4), np.float32)
    grid[1, :, :, :, 2, 3] = 7.0
    np.testing.assert_allclose(bj.blur(grid, 1.3, feature_axes=2), grid, atol=1e-5)
    plain = np.random.default_rng(1).normal(size=(4, 5, 6)).astype(np.float32)
    np.testing.assert_allclose(
        bj.blur(plain, 1.0), bj.blur(plain[..., None], 1.0)[..., 0], atol=1e-6
    )
    mixed = bj.blur(plain, 1.0, boundary=("clamp", "wrap", "zero"))
    steps = bj.blur(plain, (1.0, 0, 0))
    steps = bj.blur(steps, (0, 1.0, 0), boundary="wrap")
    np.testing.assert_allclose(mixed, bj.blur(steps, (0, 0, 1.0), boundary="zero"), atol=1e-6)


def test_blur_and_total_variation_refuse_an_ambiguous_rank():
    grid = np.zeros((2, 3, 4, 3, 4), np.float32)
    for call in (lambda: bj.blur(grid, 1.0), lambda: bj.total_variation(grid)):
        with pytest.raises(ValueError, match="feature_axes=1 or feature_axes=2"):
            call()


@pytest.mark.parametrize("sigma", [-1.0, (1.0, 2.0), "wide", np.nan])
def test_blur_refuses_a_bad_sigma(sigma):
    with pytest.raises(ValueError, match="sigma must be"):
        bj.blur(np.zeros((2, 3, 4, 1), np.float32), sigma)


def test_blur_refuses_what_would_exhaust_memory():
    with pytest.raises(ValueError, match="sigma of up to 16384 cells, got .* sigma 1e.09"):
        bj.blur(np.zeros((2, 3, 4, 1), np.float32), 1e9)
    with pytest.raises(ValueError, match="up to 16384 cells .* got an axis of 100000"):
        bj.blur(np.zeros((1, 1, 100_000), np.float32), 1.0)


@pytest.mark.parametrize("convention", lattice.CONVENTIONS)
def test_sample_at_pixel_centres_is_slice(convention):
    rng = np.random.default_rng(2)
    grid = rng.normal(size=(3, 4, 5, 2)).astype(np.float32)
    guide = rng.uniform(-0.2, 1.2, size=(6, 7)).astype(np.float32)
    rows, columns = np.mgrid[:6, :7]
    if convention != "align_corners":
        rows, columns = (rows + 0.5) / 6, (columns + 0.5) / 7
    else:
        rows, columns = rows / 5, columns / 6
    points = np.stack([rows, columns, guide], -1).reshape(-1, 3).astype(np.float32)
    out = bj.sample(grid, points, convention=convention)
    expected = oracles.slice_loops(grid, guide, convention=convention)
    np.testing.assert_allclose(out.reshape(6, 7, 2), expected, atol=2e-6)


def test_sample_wraps():
    grid = np.random.default_rng(3).normal(size=(3, 4, 5, 2)).astype(np.float32)
    points = np.random.default_rng(4).uniform(size=(9, 3)).astype(np.float32)
    once = bj.sample(grid, points, boundary="wrap")
    np.testing.assert_allclose(once, bj.sample(grid, points + 1, boundary="wrap"), atol=1e-5)
    assert np.abs(once - bj.sample(grid, points)).max() > 0.1


def test_sample_takes_stacks_and_many_points():
    rng = np.random.default_rng(5)
    grids = rng.normal(size=(2, 3, 4, 5, 3, 4)).astype(np.float32)
    points = rng.uniform(size=(2, 40000, 3)).astype(np.float32)  # more than one chunk
    out = bj.sample(grids, points)
    assert out.shape == (2, 40000, 3, 4)
    np.testing.assert_allclose(out[1, -7:], bj.sample(grids[1], points[1, -7:]), atol=1e-6)
    shared = bj.sample(grids[0], points, feature_axes=2)
    np.testing.assert_allclose(shared[0], out[0], atol=1e-6)


@pytest.mark.parametrize("convention", lattice.CONVENTIONS)
def test_gradients_of_sample_and_slice_follow_one_rule(convention):
    """At cell centres the slope to the right; 0 in clamped ranges, also at a guide of 1."""
    rng = np.random.default_rng(8)
    grid = rng.normal(size=(3, 4, 4)).astype(np.float32)
    centres = {"half_pixel": (np.arange(4) + 0.5) / 4}.get(convention, np.arange(4) / 3)
    guide = np.array([[0.0, 1.0, -0.5, 1.5, *centres]], np.float32)
    columns = {"align_corners": np.arange(8) / 7}.get(convention, (np.arange(8) + 0.5) / 8)
    rows = np.full(8, 0.0 if convention == "align_corners" else 0.5)

    def sampled(guide):
        points = jnp.stack([jnp.asarray(rows), jnp.asarray(columns), guide[0]], -1)
        return bj.sample(grid, points.astype(jnp.float32), convention=convention).sum()

    by_sample = jax.grad(sampled)(jnp.asarray(guide))
    for implementation in ("reference", "xla"):
        options = {"convention": convention, "implementation": implementation}
        sliced = functools.partial(bj.slice, grid, **options)
        by_slice = jax.vjp(sliced, guide)[1](jnp.ones_like(guide))[0]
        np.testing.assert_allclose(by_slice, by_sample, atol=1e-5)
    at_zero, at_one, *outside = by_sample[0, :4]
    assert at_one == 0 and not np.any(outside)
    assert (at_zero == 0) == (convention == "half_pixel")


def test_sample_has_gradients_to_coordinates_and_grid():
    with jax.enable_x64(True):
        rng = np.random.default_rng(6)
        grid = jnp.asarray(rng.normal(size=(3, 4, 5, 2)))
        cell = rng.integers(0, 2, size=(20, 3)) + rng.uniform(0.1, 0.9, size=(20, 3))
        points = jnp.asarray((cell + 0.5) / np.array([3, 4, 5]))
        points = points.at[0, 0].set(1.4)  # clamped: no slope there

        def function(grid, points):
            return jnp.sum(jnp.sin(bj.sample(grid, points)))

        d_grid, d_points = jax.grad(function, (0, 1))(grid, points)
        assert d_points[0, 0] == 0
        for argument, gradient in enumerate((d_grid, d_points)):
            direction = jnp.asarray(rng.normal(size=gradient.shape))
            arguments = [grid, points]
            values = []
            for sign in (1, -1):
                moved = list(arguments)
                moved[argument] = moved[argument] + sign * 1e-6 * direction
                values.append(function(*moved))
            slope = (values[0] - values[1]) / 2e-6
            np.testing.assert_allclose(jnp.vdot(gradient, direction), slope, rtol=1e-6)


def test_a_nan_point_affects_no_other():
    rng = np.random.default_rng(7)
    grid = rng.normal(size=(3, 4, 5, 2)).astype(np.float32)
    points = rng.uniform(size=(6, 3)).astype(np.float32)
    points[2, 1] = np.nan
    out = bj.sample(grid, points)
    assert np.isnan(out[2]).all() and np.isfinite(np.delete(out, 2, 0)).all()
    d_grid = jax.grad(lambda grid: jnp.nansum(bj.sample(grid, points) ** 2))(grid)
    kept = np.delete(points, 2, 0)
    expected = jax.grad(lambda grid: jnp.sum(bj.sample(grid, kept) ** 2))(grid)
    np.testing.assert_allclose(d_grid, expected, atol=1e-5)


def test_sample_refuses_points_that_are_not_triples():
    with pytest.raises(ValueError, match="coordinates must end in 3"):
        bj.sample(np.zeros((2, 2, 2, 1), np.float32), np.zeros((5, 2), np.float32))
    with pytest.raises(TypeError, match="coordinates must be floating"):
        bj.sample(np.zeros((2, 2, 2, 1), np.float32), np.zeros((5, 3), np.int32))


def test_total_variation_matches_radiance_field_libraries():
    """Sum of squared differences over their count, per axis, against a plain transcription."""
    rng = np.random.default_rng(8)
    stored = rng.normal(size=(2, 12, 4, 5, 6)).astype(np.float32)  # [n, 12, gd, gh, gw]
    expected = 0.0
    for axis in (2, 3, 4):
        difference = np.diff(stored.astype(np.float64), axis=axis)
        expected += (difference**2).sum() / np.prod(difference.shape[1:])
    grids = np.moveaxis(stored, (3, 4, 2, 1), (1, 2, 3, 4))
    each = bj.total_variation(grids, feature_axes=1)
    assert each.shape == (2,)
    np.testing.assert_allclose(each.mean(), expected / 2, rtol=1e-6)
    assert bj.total_variation(np.ones((1, 1, 1, 2), np.float32)) == 0


def test_identity_grid_changes_nothing():
    rng = np.random.default_rng(9)
    image = rng.uniform(size=(2, 6, 7, 3)).astype(np.float32)
    guide = rng.uniform(size=(2, 6, 7)).astype(np.float32)
    for offset in (True, False):
        grid = bj.identity_grid((2, 3, 4, 5), offset=offset)
        np.testing.assert_allclose(bj.slice_apply(grid, guide, image), image, atol=1e-6)
        assert np.all(bj.total_variation(grid, feature_axes=2) == 0)
    assert bj.identity_grid((3, 4, 5), channels=1, dtype=jnp.bfloat16).dtype == jnp.bfloat16
    with pytest.raises(ValueError, match="shape must be positive ints"):
        bj.identity_grid((3, 4))
    with pytest.raises(ValueError, match="shape must be positive ints .*, got 16"):
        bj.identity_grid(16)
    with pytest.raises(TypeError, match="dtype must be floating"):
        bj.identity_grid((3, 4, 5), dtype=jnp.int32)

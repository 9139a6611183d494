"""`fit_grid` against dense least squares in float64, its gradients, errors; 40 s, compiling."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bilateral_jax as bj
from bilateral_jax import color, resize
from bilateral_jax.filters.fitting import normal_equations
from tests import oracles

pytestmark = pytest.mark.usefixtures("compiled_quickly")

SHAPE = (3, 2, 4)
CLAMP = ("clamp", "clamp", "clamp")


@functools.cache
def pair(*size):
    """Image and target, float64, with some dependence on place and brightness."""
    generator = np.random.default_rng(3)
    image = generator.random((*size, 3))
    slope = 0.5 + np.linspace(0, 1, size[1])[:, None]
    return image, image**0.7 * slope + 0.02 * generator.random((*size, 3))


def dense(image, target, *, guide=None, weights=None, smoothness, identity, **options):
    """The minimum of the docstring, written out as one least-squares problem."""
    convention, boundary = options.get("convention", "half_pixel"), options.get("boundary", CLAMP)
    guide = color.luminance(image) if guide is None else guide
    weights = np.ones(guide.shape) if weights is None else weights
    cells, channels = np.arange(np.prod(SHAPE)).reshape(SHAPE), image.shape[-1]
    sizes = cells.size, channels + 1
    weights = weights / weights.sum()
    sliced = np.zeros((*guide.shape, *sizes))
    for y, x, cell, weight in oracles.contributions(
        guide, SHAPE, window=None, convention=convention, boundary=boundary, order=0
    ):
        sliced[y, x, cells[cell]] += weight * np.append(image[y, x], 1)
    rows = [(np.sqrt(weights)[..., None, None] * sliced).reshape(-1, np.prod(sizes))]
    right = [(np.sqrt(weights)[..., None] * target).reshape(-1, channels)]
    for axis, edge in enumerate(boundary):
        along = np.moveaxis(cells, axis, 0)
        for k in range(len(along)) if edge == "wrap" else range(1, len(along) - 1):
            three = (along[k - 1], along[k], along[(k + 1) % len(along)])
            for column in range(channels + 1):
                row = np.zeros((along[0].size, *sizes))
                for near, weight in zip(three, (1, -2, 1), strict=True):
                    row[np.arange(along[0].size), near.ravel(), column] += weight
                rows.append(np.sqrt(smoothness / cells.size) * row.reshape(len(row), -1))
                right.append(np.zeros((len(row), channels)))
    rows.append(np.sqrt(identity / cells.size) * np.eye(np.prod(sizes)))
    start = np.tile(np.eye(channels + 1, channels), (cells.size, 1))
    right.append(np.sqrt(identity / cells.size) * start)
    solution, *_ = np.linalg.lstsq(np.concatenate(rows), np.concatenate(right), rcond=None)
    return np.moveaxis(solution.reshape(*SHAPE, channels + 1, channels), -1, -2)


CASES = {
    "luma": {},
    "guide_and_weights": {
        "guide": pair(11, 9)[1][..., 0],
        "weights": pair(11, 9)[0][..., 1],
        "convention": "corner_nodes",
    },
    "ring": {"boundary": ("clamp", "clamp", "wrap")},
}
REGULAR = {"smoothness": 1e-2, "identity": 1e-3}
fit32 = functools.partial(bj.fit_grid, shape=SHAPE, iterations=1000, tolerance=1e-6, **REGULAR)


@pytest.mark.parametrize("name", CASES)
def test_the_grid_is_the_dense_solution(name):
    image, target = pair(11, 9)
    options = REGULAR | CASES[name]
    expected = dense(image, target, **options)
    solver = {"shape": SHAPE, "iterations": 1000}
    with jax.enable_x64(True):
        found, left = bj.fit_grid(
            image, target, tolerance=1e-12, return_residual=True, **solver, **options
        )
    assert found.dtype == np.float64 and 0 < float(left) < 1e-12
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_the_grid_in_float32():
    image, target = pair(11, 9)
    expected = dense(image, target, **REGULAR)
    found = fit32(jnp.float32(image), jnp.float32(target))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_grey_images_of_one_channel():
    image, target = (jnp.float32(array[..., :1]) for array in pair(11, 9))
    found = fit32(image, target)
    assert found.shape == (*SHAPE, 1, 2)
    np.testing.assert_array_equal(found, fit32(image, target, guide=image[..., 0]))


def everywhere(matrix):
    return jnp.broadcast_to(matrix, (11, 9, 3, 4))


def test_one_affine_map_is_found_in_every_cell():
    """Also in those that no pixel touches."""
    image, _ = pair(11, 9)
    image = jnp.float32(0.3 + 0.2 * image)  # the cells of black and white stay empty
    matrix = jnp.float32([[1.1, 0.1, 0, 0.05], [0, 0.8, -0.1, 0], [0.2, 0, 0.9, -0.1]])
    target = bj.apply(everywhere(matrix), image)
    grid = fit32(image, target, smoothness=3e-5, identity=1e-8)
    for other in (image, jnp.zeros_like(image), jnp.ones_like(image)):
        out = bj.slice_apply(grid, color.luminance(other), other)
        np.testing.assert_allclose(out, bj.apply(everywhere(matrix), other), atol=0.05)


def scene(height, width):
    """Smooth shapes with edges, the same at every resolution."""
    y, x = np.mgrid[0:height, 0:width]
    y, x = (y + 0.5) / height, (x + 0.5) / width
    disc = (x - 0.4) ** 2 + (y - 0.5) ** 2 < 0.06
    stripes = 0.1 * np.sin(60 * x) * np.sin(50 * y)
    planes = [0.15 + 0.3 * x, 0.2 + 0.2 * y, 0.2 + 0.1 * x * y]
    return np.stack([plane + 0.4 * disc + stripes for plane in planes], -1).astype(np.float32)


def test_a_fit_at_low_resolution_holds_at_full_size():
    """A tone curve that depends on the place; far better than enlarging the small result."""

    def operator(image):
        place = np.linspace(0.4, 0.9, image.shape[1], dtype=np.float32)
        return image ** place[:, None]

    full = scene(120, 160)
    small = resize.resize_pixels(full, (30, 40), method="area")
    target, expected = operator(small), operator(full)
    out = bj.slice_apply(
        bj.fit_grid(small, target, shape=(6, 8, 8)), color.luminance(full), jnp.asarray(full)
    )
    enlarged = resize.resize_pixels(target, (120, 160), method="bilinear")

    def error(image):
        return float(np.sqrt(np.mean((image - expected) ** 2)))

    assert error(out) < 0.006 and error(enlarged) > 0.02


def fitted(image, target, guide, weights, smoothness, identity):
    return bj.fit_grid(
        image,
        target,
        guide=guide,
        weights=weights,
        smoothness=smoothness,
        identity=identity,
        shape=SHAPE,
        iterations=1000,
        tolerance=1e-13,
    )


def unrolled(image, target, guide, weights, smoothness, identity):
    """The same by 150 steps of conjugate gradients without preconditioner, step by step."""
    each = normal_equations.NormalEquations(
        image, target, guide, weights, smoothness, identity, SHAPE, "half_pixel", CLAMP
    )
    start, _ = each.right()

    def step(carry, _):
        x, r, p, rr = carry
        product = each.left(p)
        alpha = rr / (jnp.vdot(p, product) + 1e-300)
        x, r = x + alpha * p, r - alpha * product
        after = jnp.vdot(r, r)
        return (x, r, r + after / (rr + 1e-300) * p, after), None

    carry = jnp.zeros_like(start), start, start, jnp.vdot(start, start)
    (x, *_), _ = jax.lax.scan(step, carry, length=150)
    return x + bj.identity_grid(SHAPE)


def test_gradients_are_those_of_the_minimum():
    """In every argument: against finite differences, and through the steps of a solver."""
    image, target = pair(6, 5)
    generator = np.random.default_rng(4)
    # Away from cell centres, where the derivative in the guide jumps.
    guide = (np.floor(4 * generator.random((6, 5))) + 0.5 + generator.uniform(0.2, 0.8, (6, 5))) / 4
    at = [image, target, guide, 0.5 + generator.random((6, 5)), 2e-2, 5e-2]
    direction = generator.normal(size=(*SHAPE, 3, 4))

    with jax.enable_x64(True):
        at = [jnp.asarray(value) for value in at]

        def measured(fit):
            return jax.jit(lambda *arguments: jnp.sum(direction * fit(*arguments)))

        value = measured(fitted)
        numbers = tuple(range(len(at)))
        gradient = jax.jit(jax.grad(value, numbers))(*at)
        through_steps = jax.jit(jax.grad(measured(unrolled), numbers))(*at)
        for k, (found, other) in enumerate(zip(gradient, through_steps, strict=True)):
            scale = float(jnp.abs(other).max())
            assert scale > 1e-3
            np.testing.assert_allclose(found, other, atol=1e-6 * scale, err_msg=f"argument {k}")
            step = np.asarray(generator.normal(size=np.shape(at[k])))
            ends = [[*at[:k], at[k] + sign * 1e-6 * step, *at[k + 1 :]] for sign in (1, -1)]
            numeric = (value(*ends[0]) - value(*ends[1])) / 2e-6
            along = float(jnp.sum(found * step))
            assert abs(along - float(numeric)) < 1e-6 * scale * 30, f"argument {k}"


def test_examples_are_fitted_on_their_own():
    """Leading axes broadcast, also under `vmap` and `jit`."""
    image, target = (jnp.float32(array) for array in pair(11, 9))
    images = jnp.stack([image, image[::-1], 0.5 * image])
    targets = jnp.stack([target, target**2])

    @jax.jit
    @jax.vmap
    def fit(image):
        return fit32(image, targets, return_residual=True)

    found, left = fit(images)
    assert found.shape == (3, 2, *SHAPE, 3, 4) and left.shape == (3, 2)
    assert (left < 1e-6).all()
    for k, m in ((0, 0), (1, 1), (2, 0)):
        single = fit32(images[k], targets[m])
        np.testing.assert_allclose(found[k, m], single, atol=2e-4)


def test_pixels_without_weight_or_guide_do_not_count():
    image, target = (jnp.float32(array) for array in pair(11, 9))
    weights = jnp.ones((11, 9)).at[2:5, 3:6].set(0)
    guide = color.luminance(image)
    expected = fit32(image, target, weights=weights)
    assert jnp.abs(expected - fit32(image, target)).max() > 1e-3
    hole = (weights == 0)[..., None]
    holed = [jnp.where(hole, jnp.nan, array) for array in (image, target)]
    found = fit32(*holed, guide=guide, weights=weights)
    np.testing.assert_array_equal(found, expected)
    found = fit32(image, target, guide=jnp.where(hole[..., 0], jnp.nan, guide))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    nothing = fit32(image, target, weights=jnp.zeros((11, 9)))
    np.testing.assert_array_equal(nothing, bj.identity_grid(SHAPE))
    assert jnp.isnan(fit32(image, holed[1])).all()


def test_the_residual_tells_a_fit_that_was_stopped():
    image, target = (jnp.float32(array) for array in pair(11, 9))
    steps = {}
    for iterations in (1, 5, 1000):
        fit = functools.partial(fit32, iterations=iterations, return_residual=True)
        steps[iterations] = fit(image, target)
    (_, first), (_, fifth), (grid, last) = steps.values()
    assert 1 > first > fifth > 1e-4 and last < 1e-6
    assert jnp.abs(steps[1][0] - grid).max() > 0.1
    grid, exact = fit(image, image)
    assert exact == 0
    np.testing.assert_array_equal(grid, bj.identity_grid(SHAPE))


def test_half_precision_comes_in_and_float32_goes_out():
    image, target = (jnp.asarray(array, jnp.bfloat16) for array in pair(11, 9))
    found = fit32(image, target, guide=color.luminance(image))
    wide = [array.astype(jnp.float32) for array in (image, target, color.luminance(image))]
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, fit32(*wide[:2], guide=wide[2]), atol=1e-5)


IMAGE = np.zeros((4, 5, 3), np.float32)


@pytest.mark.parametrize(
    "arguments, options, error, message",
    [
        ((IMAGE, IMAGE.astype(np.uint8)), {}, TypeError, "target must be floating point"),
        ((IMAGE, IMAGE[:3]), {}, ValueError, r"target must have .* \(4, 5, 3\), got \(3, 5, 3\)"),
        ((IMAGE, IMAGE[..., :1]), {}, ValueError, "target must have"),
        ((IMAGE[..., :2],) * 2, {}, ValueError, "an image of 2 channels needs a guide"),
        ((IMAGE, IMAGE), {"guide": IMAGE}, ValueError, "guide must be one plane"),
        ((IMAGE, IMAGE), {"guide": IMAGE[:3, :, 0]}, ValueError, "must have the guide's height"),
        ((IMAGE, IMAGE), {"weights": IMAGE[:3, :, 0]}, ValueError, "weights must have the guide's"),
        ((IMAGE, IMAGE), {"shape": (16, 16)}, ValueError, r"^shape must be three .*\(16, 16\)"),
        (
            (IMAGE, IMAGE),
            {"smoothness": -1.0},
            ValueError,
            "smoothness must be at least 0 and finite, got -1",
        ),
        ((IMAGE, IMAGE), {"smoothness": (1, 1, 0.1)}, ValueError, r"one number, got shape \(3,\)"),
        ((IMAGE, IMAGE), {"smoothness": np.float32(-1)}, ValueError, "smoothness must be .*-1"),
        ((IMAGE, IMAGE), {"smoothness": jnp.float32("nan")}, ValueError, "smoothness .*got .*nan"),
        ((IMAGE, IMAGE), {"smoothness": float("inf")}, ValueError, "finite, got inf"),
        ((IMAGE, IMAGE), {"smoothness": None}, TypeError, "smoothness must be a number, got None"),
        ((IMAGE, IMAGE), {"tolerance": float("nan")}, ValueError, "at least 0 and finite, got nan"),
        ((IMAGE, IMAGE), {"tolerance": "low"}, TypeError, "tolerance must be a number, got 'low'"),
        ((IMAGE, IMAGE), {"identity": 0.0}, ValueError, "identity must be above 0 .*got 0.0"),
        ((IMAGE, IMAGE), {"identity": float("inf")}, ValueError, "identity must be .*got inf"),
        ((IMAGE, IMAGE), {"weights": IMAGE[..., 0] - 1}, ValueError, r"got -1.0 at \(0, 0\)"),
        ((IMAGE, IMAGE), {"weights": IMAGE[..., 0] + np.nan}, ValueError, "weights .*got nan"),
        ((IMAGE, IMAGE), {"iterations": 0}, ValueError, "iterations must be an int of at least 1"),
        ((IMAGE, IMAGE), {"convention": "nodes"}, ValueError, "convention must be one of"),
        ((IMAGE, IMAGE), {"boundary": "zero"}, ValueError, "boundary must be one of"),
        ((np.stack([IMAGE] * 2), np.stack([IMAGE] * 3)), {}, ValueError, "leading axes must"),
    ],
)
def test_bad_arguments_are_named(arguments, options, error, message):
    with pytest.raises(error, match=message):
        bj.fit_grid(*arguments, **options)

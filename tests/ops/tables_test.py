"""Lookup in colour tables: values, derivatives, borders, NaN, dtypes. About 20 seconds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.test_util import check_grads

import bilateral_jax as bj
from bilateral_jax.ops import table_corners
from tests import oracles

pytestmark = pytest.mark.usefixtures("compiled_quickly")
INTERPOLATIONS = table_corners.INTERPOLATIONS
SHAPES = {
    "different axes": (2, 3, 5, 3),
    "one node": (1, 4, 2, 2),
    "a single colour": (1, 1, 1, 1),
    "nine": (9, 9, 9, 3),
}


def arrays(shape=(3, 4, 5, 2), size=(5, 7), seed=0):
    """Seeded float32 table, image with special colours, and a cotangent."""
    rng = np.random.default_rng(seed)
    image = rng.uniform(-0.1, 1.1, (*size, 3))
    image[0, :5] = [[0, 0, 0], [1, 1, 1], [0.5, 0.25, 1], [-np.inf, np.inf, 0.3], [0.4, 0.4, 0.4]]
    drawn = rng.normal(size=shape), image, rng.normal(size=(*size, shape[-1]))
    return tuple(array.astype(np.float32) for array in drawn)


def inside(seed=0):
    """Colours whose fractions differ and that lie off the nodes of a `[3, 4, 5]` table."""
    fraction = np.random.default_rng(seed).permuted(np.tile([0.15, 0.5, 0.8], (2, 3, 1)), axis=-1)
    lower = np.random.default_rng(seed + 1).integers(0, (2, 3, 4), (2, 3, 3))
    return (lower + fraction) / (2, 3, 4)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_values_are_those_of_the_loops(shape, interpolation):
    table, image, _ = arrays(shape)
    out = bj.table_lookup(table, image, interpolation=interpolation)
    expected = oracles.table_lookup_loops(table, image, interpolation)
    np.testing.assert_allclose(out, expected, atol=3e-6)


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_tiles_give_what_the_whole_gives(monkeypatch, tiled, interpolation):
    monkeypatch.setattr(table_corners, "_TILE_PIXELS", 16)  # 35 pixels: a last tile that overlaps
    table, image, cotangent = (np.stack([a, a + 0.1]) for a in arrays())
    options = {"interpolation": interpolation, "dtype": jnp.float32, "tiled": tiled}
    expected = [oracles.table_lookup_loops(t, i, interpolation) for t, i in zip(table, image)]
    out = table_corners.lookup(table=jnp.asarray(table), image=jnp.asarray(image), **options)
    np.testing.assert_allclose(out, np.stack(expected), atol=1e-5)
    added = table_corners.splat(
        jnp.asarray(cotangent), jnp.asarray(image), table_shape=table.shape[1:4], **options
    )
    products = np.vdot(out, cotangent), np.vdot(table, added)
    np.testing.assert_allclose(*products, rtol=1e-5)
    slope = table_corners.contract(*map(jnp.asarray, (cotangent, table, image)), **options)
    expected = jax.grad(
        lambda image: jnp.vdot(
            bj.table_lookup(table, image, interpolation=interpolation), cotangent
        )
    )(image)
    np.testing.assert_allclose(slope, expected, atol=1e-4)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_derivatives_of_both_modes_and_second_order(interpolation):
    with jax.enable_x64(True):
        table = np.random.default_rng(0).normal(size=(3, 4, 5, 2))
        function = functools.partial(bj.table_lookup, interpolation=interpolation)
        check_grads(function, (table, inside()), order=2, modes=("fwd", "rev"), eps=1e-4)


def test_third_derivative_of_a_trilinear_lookup_is_the_mixed_difference():
    table, colour = np.random.default_rng(0).normal(size=(2, 2, 2, 1)), np.full((1, 1, 3), 0.3)

    def value(red, green, blue):
        image = jnp.stack([red, green, blue])[None, None]
        return bj.table_lookup(table, image)[0, 0, 0]

    with jax.enable_x64(True):
        third = jax.grad(jax.grad(jax.grad(value, 0), 1), 2)(*map(jnp.float64, colour[0, 0]))
    corners = np.indices((2, 2, 2)).sum(0)
    np.testing.assert_allclose(third, -(table[..., 0] * (-1.0) ** corners).sum(), rtol=1e-6)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_derivative_at_a_node_is_the_one_to_the_right_and_0_where_it_clamps(interpolation):
    table = np.zeros((3, 2, 2, 1), np.float32)
    table[1], table[2] = 1, 5  # slopes 2 and 8 along red

    def slope(red):
        image = np.array([red, 0.3, 0.6], np.float32)[None, None]
        lookup = functools.partial(bj.table_lookup, interpolation=interpolation)
        return jax.grad(lambda image: lookup(table, image).sum())(image)[0, 0, 0]

    assert [float(slope(red)) for red in (-0.1, 0, 0.2, 0.5, 0.9, 1, 1.2)] == [0, 2, 2, 8, 8, 0, 0]


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_the_identity_table_changes_nothing_and_greys_stay_grey(interpolation):
    image = np.random.default_rng(0).uniform(size=(4, 5, 3)).astype(np.float32)
    out = bj.table_lookup(bj.identity_table((2, 5, 9)), image, interpolation=interpolation)
    np.testing.assert_allclose(out, image, atol=2e-7)
    greys = np.linspace(0, 1, 9, dtype=np.float32)[None, :, None].repeat(3, -1)
    if interpolation == "tetrahedral":
        table = np.random.default_rng(1).normal(size=(3, 3, 3, 1)).astype(np.float32)
        diagonal = table[[0, 1, 2], [0, 1, 2], [0, 1, 2], 0]
        expected = np.interp(greys[0, :, 0], [0, 0.5, 1], diagonal)
        out = bj.table_lookup(table, greys, interpolation=interpolation)
        np.testing.assert_allclose(out[0, :, 0], expected, atol=1e-6)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_nan_in_a_colour_touches_its_pixel_alone(interpolation):
    table, image, cotangent = arrays()
    run = functools.partial(bj.table_lookup, interpolation=interpolation)
    clean, vjp = jax.vjp(run, table, image)
    still = cotangent.copy()
    still[3, 4] = 0
    expected = vjp(still)
    image[3, 4, 1] = np.nan
    out, vjp = jax.vjp(run, table, image)
    lost = np.isnan(out)
    assert lost[3, 4].all() and lost.sum() == out.shape[-1]
    np.testing.assert_array_equal(np.where(lost, 0, out), np.where(lost, 0, clean))
    table_gradient, image_gradient = vjp(cotangent)
    np.testing.assert_array_equal(table_gradient, expected[0])
    lost = np.isnan(image_gradient)
    assert lost[3, 4].all() and lost.sum() == 3


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_nan_in_a_table_reaches_the_colours_of_the_cells_around_it(interpolation):
    table, image, _ = arrays((9, 9, 9, 2), (20, 20))
    table[4, 4, 4, 0] = np.nan
    lost = np.isnan(bj.table_lookup(table, image, interpolation=interpolation))
    near = (np.abs(np.clip(image, 0, 1) * 8 - 4) <= 1).all(-1)
    assert lost[..., 0].any() and not lost[..., 1].any() and not lost[~near].any()


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_goes_in_and_out_and_sums_in_float32(dtype):
    table, image, cotangent = (jnp.asarray(a, dtype) for a in arrays())
    out, vjp = jax.vjp(bj.table_lookup, table, image)
    gradients = vjp(cotangent)
    assert {a.dtype for a in (out, *gradients)} == {jnp.dtype(dtype)}
    wide = [a.astype(jnp.float32) for a in (table, image, cotangent)]
    expected, vjp = jax.vjp(bj.table_lookup, *wide[:2])
    np.testing.assert_array_equal(out, expected.astype(dtype))
    for one, other in zip(gradients, vjp(wide[2]), strict=True):
        np.testing.assert_array_equal(one, other.astype(dtype))


@pytest.mark.parametrize(("platform", "tiled"), [("cpu", True), ("cuda", False), ("tpu", False)])
def test_a_cpu_takes_tiles_and_other_devices_scatter_at_once(platform, tiled):
    def gradients(*arrays):
        return jax.vjp(bj.table_lookup, *arrays)[1](jnp.ones((9, 9, 2)))

    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((3, 4, 5, 2), (9, 9, 3))]
    program = export.export(jax.jit(gradients), platforms=[platform])(*shapes).mlir_module()
    assert ("stablehlo.while" in program, "stablehlo.scatter" in program) == (tiled, not tiled)


def test_tables_and_images_broadcast_and_promote():
    table, image, _ = arrays()
    tables = np.stack([table, table + 1])
    out = bj.table_lookup(tables, jnp.asarray(image, jnp.bfloat16))
    assert out.shape == (2, 5, 7, 2) and out.dtype == jnp.float32
    one = bj.table_lookup(table, jnp.asarray(image, jnp.bfloat16))
    np.testing.assert_allclose(out, np.stack([one, one + 1]), atol=1e-5)
    assert bj.table_lookup(table, image[None, None]).shape == (1, 1, 5, 7, 2)


@pytest.mark.parametrize(
    ("table", "image", "options", "error", "message"),
    [
        ((3, 3, 3), (4, 4, 3), {}, ValueError, r"table must have the axes .*\(3, 3, 3\)"),
        ((3, 3, 3, 3), (4, 4, 4), {}, ValueError, r"image must end in 3 channels.*\(4, 4, 4\)"),
        ((2, 3, 3, 3, 3), (3, 4, 4, 3), {}, ValueError, r"table \(2,\), image \(3,\)"),
        (
            (3, 3, 3, 3),
            (4, 4, 3),
            {"interpolation": "cubic"},
            ValueError,
            "interpolation must be one of .*'tetrahedral'.*got 'cubic'",
        ),
    ],
)
def test_wrong_arguments_are_named(table, image, options, error, message):
    with pytest.raises(error, match=message):
        bj.table_lookup(np.zeros(table, np.float32), np.zeros(image, np.float32), **options)


def test_integer_pixels_and_too_few_nodes_are_refused():
    table, image, _ = arrays()
    with pytest.raises(TypeError, match="image must be floating point.*uint8; scale integer"):
        bj.table_lookup(table, np.zeros(image.shape, np.uint8))
    for nodes in (1, (3, 3), 2.5):
        with pytest.raises(ValueError, match="nodes must be an int of 2 or more"):
            bj.identity_table(nodes)

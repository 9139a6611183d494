"""UPE: size, illumination and quotient, row tiles, 8-bit illumination, gradients, mistakes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bilateral_jax as bj
from bilateral_jax import inference, models
from bilateral_jax.models import model as model_lib

pytestmark = pytest.mark.usefixtures("compiled_quickly")

SMALL = {"net_input_size": 16, "spatial_bin": 4, "luma_bins": 2}


@functools.cache
def small_model(**fields):
    """One set of weights, whatever becomes of them."""
    if not fields:
        return model_lib.Model.init(models.create("UPE", SMALL), jax.random.key(0))
    return small_model().replace(module=models.create("UPE", SMALL | fields))


@functools.cache
def compiled(method, **fields):
    model = small_model(**fields)
    return jax.jit(lambda *arguments: model.apply(*arguments, method=method))


def matrices(scale, offset):
    """A grid in which every cell is `scale` times the colour plus `offset`."""
    matrix = np.concatenate([scale * np.eye(3), np.full((3, 1), offset)], 1).astype(np.float32)
    return jnp.broadcast_to(matrix, (1, 4, 4, 2, 3, 4))


def dark_image(height, width, dtype=np.float32):
    """Dark colours with a black and a white pixel."""
    pixels = np.random.default_rng(0).uniform(size=(height, width, 3)) ** 2
    pixels[0, 0], pixels[-1, -1] = 0, 1
    if np.issubdtype(dtype, np.floating):
        return pixels.astype(dtype)
    return np.rint(pixels * np.iinfo(dtype).max).astype(dtype)


def test_the_published_size():
    module = models.create("UPE")
    shapes = jax.eval_shape(module.init, jax.random.key(0), *module.example_inputs())["params"]
    assert model_lib.parameter_count(shapes) == 998_816
    assert len(jax.tree.leaves(shapes)) == 53
    layers = shapes["coefficient_network"]
    count = {
        block: model_lib.parameter_count([v for k, v in layers.items() if k.startswith(block)])
        for block in ("splat_", "global_conv", "global_fc", "local_", "prediction")
    }
    assert list(count.values()) == [24_528, 443_136, 303_552, 221_248, 6_240]
    assert model_lib.parameter_count(shapes["guide_network"]) == 112
    assert [name for name in layers if "bias" not in layers[name]] == [
        f"local_conv{i}" for i in range(2, 7)
    ]


def test_global_convolutions_halve_at_the_first_and_the_seventh():
    fields = SMALL | {"net_input_size": 32, "spatial_bin": 8}
    module = models.create("UPE", fields)
    variables = jax.eval_shape(module.init, jax.random.key(0), *module.example_inputs())

    def features(variables, *inputs):
        options = {"capture_intermediates": True, "mutable": ["intermediates"]}
        return module.apply(variables, *inputs, **options)[1]["intermediates"]

    seen = jax.eval_shape(features, variables, *module.example_inputs())["coefficient_network"]
    sides = [seen[f"global_conv{i}"]["__call__"][0].shape[1] for i in range(1, 13)]
    assert sides == [4] * 6 + [2] * 6


def test_the_output_is_between_the_input_and_white():
    image = dark_image(11, 7)[None]
    model = small_model()
    grid = model.apply(jnp.ones((1, 16, 16, 3)), method="coefficients")
    light = compiled("illumination")(grid, image)
    assert (light >= image).all() and (light <= 1).all() and len(np.unique(light)) > 50
    result = np.asarray(compiled("enhance")(image))
    assert (result >= image / 1.001 - 1e-7).all() and (result <= 1).all()
    assert not result[0, 0, 0].any() and result[0, -1, -1] == pytest.approx(1 / 1.001)


@pytest.mark.parametrize(
    "scale, offset, divisor",
    [
        (1, 0, lambda image: image),  # the identity: as bright as it gets
        (0, 0.5, lambda image: np.maximum(image, 0.5)),
        (0, 2, lambda image: np.ones_like(image)),  # fully lit: unchanged but for the constant
        (0, -1, lambda image: image),
    ],
)
def test_illumination_of_known_grids(scale, offset, divisor):
    image = dark_image(6, 5)
    expected = divisor(image)
    light = compiled("illumination")(matrices(scale, offset), image[None])
    np.testing.assert_allclose(light[0], expected, atol=1e-6)
    result = compiled("render")(matrices(scale, offset), image[None])
    np.testing.assert_allclose(result[0], image / (expected + 0.001), atol=1e-6)
    # The network of "direct" gives the transform itself.
    direct = compiled("render", rendering="direct")(matrices(scale, offset), image[None])
    np.testing.assert_allclose(direct[0], scale * image + offset, atol=1e-6)


def test_a_constant_image_stays_constant():
    image = np.full((9, 13, 3), [0.1, 0.2, 0.05], np.float32)
    out = np.asarray(compiled("render")(matrices(0.3, 0.2), image[None]))[0]
    np.testing.assert_allclose(out, np.broadcast_to(out[0, 0], out.shape), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.uint16])
def test_row_tiles_equal_the_whole(dtype):
    image = dark_image(45, 23, dtype)
    top = 1 if dtype == np.float32 else np.iinfo(dtype).max
    expected = np.asarray(compiled("enhance")(image[None].astype(np.float32) / np.float32(top)))[0]
    out = inference.enhance(small_model(), image, tile_rows=8)
    assert out.dtype == dtype
    # A row tile is a traced window with float32 positions: 5e-6 in a slice, by any implementation.
    np.testing.assert_allclose(out, expected * top, atol=3e-5 if top == 1 else 0.5 + 3e-5 * top)


def test_the_script_divides_by_8_bits():
    image = dark_image(12, 10)
    light = np.asarray(compiled("illumination")(matrices(0.7, 0.2), image[None]))[0]
    divisor = np.clip(np.trunc(light * 255) / 255, image, 1)
    expected = np.divide(image, divisor, out=np.zeros_like(image), where=divisor > 0)
    out = compiled("render", rendering="script")(matrices(0.7, 0.2), image[None])[0]
    np.testing.assert_allclose(out, expected, atol=1e-6)
    # 0 / 0 of the script
    black = compiled("render", rendering="script")(matrices(0, 0), jnp.zeros((1, 12, 10, 3)))
    assert not np.asarray(black).any()


def test_float_illumination_keeps_the_levels_of_a_dark_ramp():
    """A 16-bit ramp of 2,000 dark levels becomes four times as bright: no step is torn or lost."""
    levels = np.arange(400, 2400, dtype=np.uint16)
    ramp = np.broadcast_to(levels[None, :, None], (4, 2000, 3))
    grid, image = matrices(1.0, 0.05), ramp[None] / np.float32(65535)
    steps, distinct = {}, {}
    for rendering in ("graph", "script"):
        out = np.asarray(compiled("render", rendering=rendering)(grid, image))[0, 0, :, 0]
        steps[rendering] = np.diff(np.rint(out * 65535))
        distinct[rendering] = len(np.unique(np.rint(out * 65535)))
    assert steps["graph"].min() > 0 and steps["graph"].max() <= 25 and distinct["graph"] == 2000
    # 8 bits: the ramp falls back at each of the map's levels, by up to 1,300 of its own
    assert steps["script"].min() < -1000 and (steps["script"] < 0).sum() == 8
    assert distinct["script"] < 1980


def test_gradients_are_finite_at_black_and_unlit_pixels():
    module = models.create("UPE", SMALL)
    image = jnp.asarray(dark_image(6, 6)).at[:3].set(0)[None]

    @jax.jit
    def gradient(grid, image):
        variables = {"params": small_model().params}
        render = functools.partial(module.apply, variables, method="render")
        return jax.grad(lambda *a: render(*a).sum(), (0, 1))(grid, image)

    for offset in (0.0, 0.3):
        for leaf in gradient(matrices(0.0, offset), image):
            assert bool(jnp.isfinite(leaf).all())
    assert float(abs(gradient(matrices(0.0, 0.3), image)[0]).max()) > 0.1


def test_the_recommended_start_doubles_the_light():
    model = model_lib.Model.init(
        models.create("UPE", SMALL, preset="recommended"), jax.random.key(3)
    )
    image = dark_image(8, 8)
    np.testing.assert_allclose(
        jax.jit(lambda x: model(x))(image), np.minimum(image / 0.501, 1 / 1.001), atol=0.05
    )
    direct = models.create("UPE", SMALL | {"rendering": "direct"}, preset="recommended")
    np.testing.assert_array_equal(direct.starting_matrix(), np.eye(3, 4))


def test_the_network_by_name():
    module = models.create("UPE", SMALL | {"rendering": "script"})
    name, fields = models.describe(module)
    assert name == "UPE" and fields["rendering"] == "script"
    assert models.create(name, fields) == module
    with pytest.raises(ValueError, match=r"rendering must be one of .*, got 'float'"):
        models.create("UPE", {"rendering": "float"})
    with pytest.raises(ValueError, match="UPE has no field global_depth"):
        models.create("UPE", {"global_depth": 2})


def test_slicing_gives_the_golden_values_of_the_original_op():
    """The original rounds the tip of the depth tent, which costs it up to 1e-4."""
    gy, gx, gz, k = np.meshgrid(*map(np.arange, (4, 4, 3, 12)), indexing="ij")
    grid = ((7 * gy + 3 * gx + 5 * gz + 2 * k) % 13 / 13).reshape(4, 4, 3, 3, 4)
    y, x = np.meshgrid(np.arange(6), np.arange(5), indexing="ij")
    guide = (3 * y + 2 * x) % 8 / 7
    image = np.stack([(y + x) / 10, y * x / 20, (5 - y + x) / 10], -1)
    out = bj.slice_apply(*(jnp.asarray(a, jnp.float32) for a in (grid, guide, image)))
    golden = {
        (0, 0): [0.6153846, 0.53846153, 0.96153844],
        (5, 4): [0.99230767, 1.62307689, 1.75384612],
        (2, 3): [1.30484428, 0.9903388, 1.04630949],
    }
    for pixel, expected in golden.items():
        np.testing.assert_allclose(out[pixel], expected, atol=1e-4)
    np.testing.assert_allclose(out.mean((0, 1)), [0.95878827, 1.01971043, 0.98592625], atol=1e-4)

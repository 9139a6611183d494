"""Enhancement of one image of any size and depth, by grid; arguments and errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import images, inference, models, resize
from bilateral_jax.inference import by_grid
from bilateral_jax.models import model as model_lib
from tests import compilations

pytestmark = pytest.mark.usefixtures("compiled_quickly")
NAMES = sorted(name for name in models.REGISTRY if name.startswith("HDRNet"))


@functools.cache
def small_model(name, method="area"):
    fields = {"net_input_size": 16, "spatial_bin": 4, "luma_bins": 2, "guide_complexity": 3}
    module = models.create(name, fields | {"lowres_method": method})
    model = model_lib.Model.init(module, jax.random.key(0))
    # Random weights give values far outside [0, 1]; scaled they fill it: clipping hides nothing.
    return model.replace(params=jax.tree.map(lambda leaf: 0.7 * leaf, model.params))


@functools.cache
def whole(name, method="area"):
    model = small_model(name, method)
    return jax.jit(model)


def random_image(height, width, dtype=np.float32):
    pixels = np.random.default_rng(0).uniform(size=(height, width, 3))
    if np.issubdtype(dtype, np.floating):
        return pixels.astype(dtype)
    return np.rint(pixels * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size, tiles", [((45, 23), [6]), ((20, 290), [6, None])])
def test_tiles_equal_the_whole(name, size, tiles):
    image = random_image(*size)
    expected = whole(name)(image)
    assert float(abs(expected).max()) < 1.5
    for tile_rows in tiles:
        out = inference.enhance(small_model(name), image, tile_rows=tile_rows)
        assert out.dtype == np.float32
        np.testing.assert_allclose(out, expected, atol=2e-6, err_msg=f"tiles of {tile_rows} rows")


@pytest.mark.parametrize("tile_rows", [6, None])
def test_images_of_all_sizes_share_one_program(tile_rows):
    """Also the last, short tile."""
    model = small_model("HDRNetGaussianPyrNN")
    for first, *others in (
        [(24, 30), (37, 30), (50, 1), (9, 64)],
        [(20, 290), (21, 257), (300, 600), (4, 961)],
    ):
        inference.enhance(model, random_image(*first), tile_rows=tile_rows)
        with compilations.counted() as programs:
            for size in others:
                inference.enhance(model, random_image(*size), tile_rows=tile_rows)
        assert not programs


def test_large_images_have_large_tiles():
    for size, tile in {
        (40, 256): (256, 256),
        (300, 1100): (256, 256),
        (3000, 4000): (512, 1024),
        (12240, 16320): (512, 1024),
    }.items():
        assert by_grid._tile_size(size, None) == tile
    assert by_grid._tile_size((3000, 700), None) == (256, 256)
    assert by_grid._tile_size((3000, 70), None) == (256, 128)
    assert by_grid._tile_size((3000, 4000), 6) == (8, 1024)
    assert by_grid._tile_size((100, 70), 10**9) == (128, 128)


@pytest.mark.parametrize("size", [(1, 1), (7, 2)])
def test_tiny_images(size):
    image = random_image(*size)
    out = inference.enhance(small_model("HDRNetGaussianPyrNN"), image, tile_rows=4)
    assert out.shape == image.shape and np.isfinite(out).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_are_rounded_and_clipped(dtype):
    image = random_image(20, 30, dtype)
    top = np.iinfo(dtype).max
    floats = inference.enhance(
        small_model("HDRNetCurves"), image.astype(np.float32) / np.float32(top)
    )
    out = inference.enhance(small_model("HDRNetCurves"), image, tile_rows=8)
    assert out.dtype == dtype
    assert floats.min() < 0 or floats.max() > 1  # so the clip has something to do
    exact = np.clip(floats.astype(np.float64), 0, 1) * top
    # A float32 output is off by some 1e-7: half a level plus that.
    assert np.abs(out - exact).max() <= 0.5 + 1e-6 * top
    assert abs((out - exact).mean()) < 0.05


def test_low_precision_floats_keep_their_dtype():
    out = inference.enhance(small_model("HDRNetCurves"), random_image(6, 5).astype(np.float16))
    assert out.dtype == np.float16


@pytest.mark.parametrize("method", resize.METHODS)
@pytest.mark.parametrize("size", [(70, 33), (5, 90)])
def test_the_low_res_input_is_the_models(method, size):
    image = random_image(*size, np.uint8)
    expected = resize.resize(jnp.asarray(image) / np.float32(255), 16, method=method)
    np.testing.assert_allclose(resize.resize_pixels(image, 16, method=method), expected, atol=1e-6)


def test_the_input_is_not_changed():
    image = random_image(9, 8, np.uint8)
    before = image.copy()
    inference.enhance(small_model("HDRNetCurves"), image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    "image, options, error, message",
    [
        (np.zeros((4, 4), np.float32), {}, ValueError, r"image must be \[h, w, 3\] .*got \(4, 4\)"),
        (np.zeros((4, 4, 4), np.float32), {}, ValueError, r"got \(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.float32), {}, ValueError, "at least one pixel"),
        (np.zeros((4, 4, 3), np.int32), {}, TypeError, "uint8 or uint16, got int32"),
        (
            np.zeros((4, 4, 3), np.float32),
            {"tile_rows": 0},
            ValueError,
            "tile_rows must be a positive",
        ),
        (np.zeros((4, 4, 3), np.float32), {"strength": 1.5}, ValueError, r"in \[0, 1\], got 1.5"),
        (np.zeros((4, 4, 3), np.float32), {"strength": float("nan")}, ValueError, "got nan"),
        (np.zeros((4, 4, 3), np.float32), {"strength": None}, ValueError, r"1\], got None"),
        (np.zeros((4, 4, 3), np.float32), {"strength": "0.5"}, ValueError, "strength .*got '0.5'"),
        (np.zeros((4, 4, 3), np.float32), {"strength": True}, ValueError, "strength .*got True"),
        (images.Photo(np.zeros((4, 4, 3), np.uint8)), {}, TypeError, "photo.pixels.*, got Photo"),
    ],
)
def test_bad_arguments_are_named(image, options, error, message):
    with pytest.raises(error, match=message):
        inference.enhance(small_model("HDRNetCurves"), image, **options)


@pytest.mark.parametrize("name", ["DPEDCritic", "NIMAMobileNet", "VGG"])
def test_networks_that_give_no_images_are_named(name):
    model = model_lib.Model({}, {}, models.create(name))
    with pytest.raises(ValueError, match=f"{name} declares no way to enhance an image"):
        inference.enhance(model, random_image(4, 4))
    with pytest.raises(ValueError, match=f"{name} declares no way to enhance an image"):
        model(random_image(4, 4))


def test_nan_is_refused_for_integers_and_kept_in_floats():
    model = small_model("HDRNetCurves")
    broken = model.replace(params=jax.tree.map(lambda leaf: leaf * np.nan, model.params))
    with pytest.raises(ValueError, match="the network gives NaN"):
        inference.enhance(broken, random_image(16, 16, np.uint8))
    assert np.isnan(inference.enhance(broken, random_image(16, 16))).all()


def test_too_little_memory_is_a_memory_error(monkeypatch):
    def exhausted(*arguments, **options):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")

    monkeypatch.setattr(by_grid, "_coefficients", exhausted)
    with pytest.raises(MemoryError, match="an image of 5 x 4 pixels needs more memory"):
        inference.enhance(small_model("HDRNetCurves"), random_image(4, 5))


@pytest.mark.parametrize("name", ["HDRNetCurves", "HDRNetGaussianPyrNN"])
def test_strength_blends_before_rounding(name):
    """The pyramid's tiles read more pixels than they give."""
    model, image = small_model(name), random_image(300, 41, np.uint16)
    floats = image / np.float32(65535)
    expected = floats + 0.25 * (np.asarray(inference.enhance(model, floats)) - floats)
    out = inference.enhance(model, image, strength=0.25)
    assert out.dtype == np.uint16
    np.testing.assert_allclose(out, np.clip(expected, 0, 1) * 65535, atol=0.6)
    np.testing.assert_array_equal(inference.enhance(model, image, strength=0), image)
    whole_strength = inference.enhance(model, image, strength=1)
    np.testing.assert_array_equal(whole_strength, inference.enhance(model, image))


def test_strength_of_an_affine_network_is_that_of_its_coefficients():
    """The result of a grid mixed with the identity's."""
    model, image = small_model("HDRNetCurves"), random_image(20, 24)
    small = resize.resize(image, 16, method="area")[None]
    grid = model.apply(jnp.asarray(small), method="coefficients")
    mixed = 0.3 * np.asarray(grid) + 0.7 * np.eye(3, 4, dtype=np.float32)
    expected = model.apply(mixed, jnp.asarray(image)[None], method="render")[0]
    np.testing.assert_allclose(inference.enhance(model, image, strength=0.3), expected, atol=2e-6)


def test_strength_of_other_networks_is_within_one_level():
    module = models.create("CAN", {"width": 4, "dilations": [1, 2, 1]})
    model, image = model_lib.Model.init(module, jax.random.key(0)), random_image(30, 20, np.uint8)
    exact = inference.enhance(model, image / np.float32(255), strength=0.5)
    out = inference.enhance(model, image, strength=0.5)
    result = np.clip(2 * exact - image / 255, 0, 1)  # the network's own integers are clipped
    assert np.abs(out / 255 - (image / 255 + result) / 2).max() <= 1 / 255
    np.testing.assert_array_equal(inference.enhance(model, image, strength=0), image)


def test_a_model_is_a_function_for_jit_vmap_and_grad():
    model, batch = small_model("HDRNetCurves"), random_image(8, 6)[None]
    expected = jnp.stack([model(image) for image in batch])
    for function in (jax.jit(model), jax.vmap(model), jax.jit(jax.vmap(model))):
        np.testing.assert_allclose(function(batch), expected, atol=2e-6)
    gradient = jax.grad(lambda image: jax.jit(model)(image).sum())(jnp.asarray(batch))
    assert gradient.shape == batch.shape and np.isfinite(gradient).all() and gradient.any()
    assert model == model and model != model.replace(), "as objects, without comparing arrays"

"""Networks with whole-image statistics: published outputs, and row tiles equal the whole image."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import images, inference, models
from bilateral_jax.importers import can as can_importer
from bilateral_jax.importers import dped as dped_importer
from bilateral_jax.inference import by_row_tiles
from bilateral_jax.models import can, model
from tests import assets

pytestmark = pytest.mark.usefixtures("compiled_quickly")

# Mean, deviation and first pixel of the three published generators' outputs (TensorFlow, float32).
DPED_RAMP = {
    "iphone": [
        (0.552051, 0.573026, 0.544968),
        (0.299358, 0.274935, 0.250335),
        (0.006681, 0.045963, 0.014377),
    ],
    "blackberry": [
        (0.492574, 0.426245, 0.409804),
        (0.293103, 0.246759, 0.237732),
        (0.042895, 0.077584, 0.069001),
    ],
    "sony": [
        (0.472831, 0.496819, 0.485449),
        (0.314133, 0.329680, 0.252076),
        (0.012684, 0.067619, 0.029220),
    ],
}
# Of rows 400..655, columns 300..555 of one photo: mean, deviation, pixels [0, 0] and [128, 128].
CAN_CROP = {
    "L0_smoothing": [
        (0.738453, 0.437358, 0.310257),
        (0.156831, 0.131588, 0.106927),
        (0.420258, 0.213324, 0.131568),
        (0.828599, 0.539881, 0.417866),
    ],
    "Multiscale_tone_manipulation": [
        (0.757067, 0.481066, 0.346894),
        (0.233848, 0.246339, 0.212527),
        (0.257020, 0.070230, 0.029342),
        (0.983568, 0.822991, 0.678093),
    ],
    "Nonlocal_dehazing": [
        (0.723475, 0.470934, 0.305967),
        (0.198982, 0.207498, 0.167059),
        (0.273090, 0.128494, 0.028260),
        (0.881819, 0.677982, 0.524744),
    ],
    "Photographic_style": [
        (0.359032, 0.359256, 0.359643),
        (0.241176, 0.239685, 0.239320),
        (0.010260, 0.022843, 0.026541),
        (0.702558, 0.699366, 0.700683),
    ],
}
CAN32 = {"dilations": [1, 2, 4, 8, 16, 32, 64, 128, 1]}


@functools.cache
def published(kind, name):
    if kind == "dped":
        return dped_importer.load(assets.path("dped", f"{name}_orig.index"))
    return can_importer.load(assets.path("can24", name))


def ramp():
    y, x = np.mgrid[:48, :64]
    return np.stack([x / 63, y / 47, (x + y) / 110], -1).astype(np.float32)


@pytest.mark.parametrize("phone", sorted(DPED_RAMP))
def test_dped_equals_the_published_generators(phone):
    network = published("dped", phone)
    assert model.parameter_count(network.params) == 401_475
    out = np.asarray(network(ramp()))
    for found, expected in zip((out.mean((0, 1)), out.std((0, 1)), out[0, 0]), DPED_RAMP[phone]):
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_dped_equals_the_original_graph_on_photos():
    golden = np.load(assets.path("golden", "dped", "iphone_orig.npz"))
    name = "a0535"
    photo = images.read(assets.path("fivek_sample", "input", f"{name}.png")).pixels
    out = published("dped", "iphone")(photo[:256, :320].astype(np.float32) / 255)
    np.testing.assert_allclose(out, golden[f"{name}_rows0_256_cols0_320"], atol=1e-5)


@pytest.mark.parametrize("operator", sorted(CAN_CROP))
def test_can_equals_the_published_operators(operator):
    network = published("can", operator)
    assert model.parameter_count(network.params) == 37_219
    photo = images.read(assets.path("photos", "000001.png")).pixels
    out = np.asarray(network(photo[400:656, 300:556].astype(np.float32) / 255))
    found = (out.mean((0, 1)), out.std((0, 1)), out[0, 0], out[128, 128])
    for each, expected in zip(found, CAN_CROP[operator]):
        np.testing.assert_allclose(each, expected, atol=6e-6)


@pytest.fixture(scope="module")
def small():
    """A network with all the parts, its weights away from their simple start."""
    modules = {
        "DPED": models.create("DPED", {"width": 4, "blocks": 2}),
        "residual DPED": models.create("DPED", {"width": 4, "blocks": 2, "residual": True}),
        "CAN": models.create("CAN", {"width": 5, "dilations": [1, 4, 1], "conditions": 1}),
    }
    return {name: with_random_weights(module) for name, module in modules.items()}


def with_random_weights(module):
    """Fresh parameters would cost a compilation, and normalise by nothing in a CAN."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), *module.example_inputs())["params"]
    rng = np.random.default_rng(0)

    def draw(leaf):
        return (0.4 * rng.standard_normal(leaf.shape)).astype(np.float32)

    return model.Model(jax.tree.map(draw, shapes), {}, module)


@pytest.mark.parametrize(
    "name, conditions, rows",
    [
        ("DPED", (), 7),
        ("DPED", (), 32),
        ("residual DPED", (), 7),
        ("CAN", (0.5,), 7),
        ("CAN", (0.5,), 32),
    ],
)
def test_row_tiles_equal_the_whole(small, name, conditions, rows):
    image = np.random.default_rng(0).random((33, 21, 3), np.float32)
    whole = inference.enhance(small[name], image, conditions=conditions)
    tiled = inference.enhance(small[name], image, conditions=conditions, tile_rows=rows)
    np.testing.assert_allclose(tiled, whole, atol=2e-5, rtol=2e-5)
    # Independent tiles would not do: their statistics differ.
    alone = inference.enhance(small[name], image[:rows], conditions=conditions)
    assert np.abs(alone - whole[:rows]).max() > 1e-2


def test_integers_are_scaled_and_rounded(small):
    pixels = np.random.default_rng(0).integers(0, 65536, (9, 8, 3)).astype(np.uint16)
    out = inference.enhance(small["DPED"], pixels)
    expected = small["DPED"](pixels.astype(np.float32) / 65535)
    assert out.dtype == np.uint16
    np.testing.assert_allclose(out / 65535, np.clip(expected, 0, 1), atol=1e-5)


def test_conditions_are_counted(small):
    image = np.zeros((4, 4, 3), np.float32)
    with pytest.raises(ValueError, match="CAN takes 1 conditions, got 0"):
        inference.enhance(small["CAN"], image)
    with pytest.raises(ValueError, match="DPED takes 0 conditions, got 2"):
        inference.enhance(small["DPED"], image, conditions=(1, 2))


def test_initial_layers_of_a_can_are_the_identity():
    network = model.Model.init(can.CAN(), jax.random.key(0))
    kernel = network.params["conv_3"]["kernel"]
    np.testing.assert_array_equal(kernel[1, 1], np.eye(24))
    assert float(jnp.abs(kernel).sum()) == 24
    image = np.random.default_rng(0).random((1, 5, 6, 3), np.float32)
    last = network.params["last"]
    expected = image @ np.asarray(last["kernel"])[0, 0, :3] + np.asarray(last["bias"])
    np.testing.assert_allclose(network.apply(image), expected, atol=1e-5)


def test_channel_order_mirrors_input_and_output(small):
    network = small["CAN"]
    other = network.replace(module=network.module.clone(channel_order="bgr"))
    image = np.random.default_rng(0).random((1, 6, 6, 4), np.float32)
    mirrored = image[..., [2, 1, 0, 3]]
    np.testing.assert_allclose(other.apply(image), network.apply(mirrored)[..., ::-1], atol=1e-6)
    with pytest.raises(ValueError, match='must be "rgb" or "bgr"'):
        can.CAN(channel_order="grb")


@pytest.mark.parametrize(
    "importer, name, fields",
    [
        (dped_importer, "DPED", {"width": 4, "blocks": 3}),
        (can_importer, "CAN", {"width": 6, "dilations": [1, 2, 1], "channel_order": "bgr"}),
        (can_importer, "CAN", {"width": 32, "conditions": 10, "channel_order": "bgr", **CAN32}),
    ],
)
def test_weights_round_trip(importer, name, fields):
    network = with_random_weights(models.create(name, fields))
    variables = importer.to_variables(network)
    again = importer.load({f"{key}:0": array for key, array in variables.items()})
    assert again.module == network.module
    jax.tree.map(np.testing.assert_array_equal, again.params, network.params)
    missing = dict(variables)
    gone = sorted(missing)[-1]
    del missing[gone]
    with pytest.raises(ValueError, match=gone):
        importer.load(missing)
    with pytest.raises(ValueError, match="so this is no"):
        importer.load({"somebody/else": np.zeros(3)})


def test_the_halo_is_the_sum_over_layers():
    assert by_row_tiles._halo(models.create("DPED"), None) == 18
    assert by_row_tiles._halo(models.create("CAN"), 7) == 128

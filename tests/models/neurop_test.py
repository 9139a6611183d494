"""NeurOp: published photos, any size in pieces, gradients, import, export.

About 20 seconds.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from bilateral_jax import __main__ as command_line
from bilateral_jax import images, inference, models
from bilateral_jax.importers import neurop as importer
from bilateral_jax.inference import by_pixel
from bilateral_jax.models import model as model_lib
from bilateral_jax.models import neurop
from tests import assets, fake_torch_files

pytestmark = pytest.mark.usefixtures("compiled_quickly")
# Input, published output, strengths of black clipping, exposure and vibrance.
PUBLISHED = {
    "dark": ("4278_input.png", "4278_dark.png", (-0.174, -0.230, 0.103)),  # 16-bit input
    "lite": ("4521_input.jpg", "4521_lite.png", (0.035, -0.229, -0.046)),
}


@functools.cache
def small():
    """A network whose outputs fill [0, 1], so that the clip hides little."""
    module = models.create("NeurOp", {"width": 6, "encoder_width": 4})
    network = model_lib.Model.init(module, jax.random.key(0))
    params = jax.tree.map(lambda leaf: leaf, network.params)
    for name in module.operators:
        decode = params[f"operator_{name}"]["decode"]
        decode["bias"] = decode["bias"] + 0.5
    return network.replace(params=params)


@jax.jit
def whole(network, image):
    """One program for each network and size."""
    return network(image)


def random_image(height, width):
    return np.random.default_rng(0).uniform(size=(height, width, 3)).astype(np.float32)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_published_photos_are_reproduced(name):
    source, expected, strengths = PUBLISHED[name]
    network = importer.load(assets.path("neurop", f"neurop_fivek_{name}.pth"))
    assert model_lib.parameter_count(network.params) == 28_108
    photo = images.read(assets.path("neurop", source)).pixels
    expected = images.read(assets.path("neurop", expected)).pixels
    np.testing.assert_allclose(by_pixel.predict(network, photo)[0], strengths, atol=6e-4)
    out = inference.enhance(network, images.to_float(photo))
    # The published photos were truncated to integers.
    difference = np.abs((out * 255).astype(np.uint8).astype(int) - expected)
    assert difference.max() <= 1 and np.mean(difference == 0) >= 0.9999


@pytest.mark.parametrize("size", [(1, 1), (45, 23), (300, 3), (9, 40)])
def test_pieces_equal_the_whole(size):
    image = random_image(*size)
    expected = whole(small(), image)
    for tile_rows in (None, 7):
        out = inference.enhance(small(), image, tile_rows=tile_rows)
        np.testing.assert_allclose(out, expected, atol=2e-6)


def test_the_reduced_image_keeps_the_aspect_ratio_within_limits():
    assert neurop.reduced_size(335, 500) == (256, 382)
    assert neurop.reduced_size(500, 335) == (256, 171)
    assert neurop.reduced_size(10_000, 1) == (256, 5)
    assert neurop.reduced_size(1, 10_000) == (256, 4096)


def test_integers_refuse_nan():
    params = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), small().params)
    broken, image = small().replace(params=params), random_image(45, 23)
    with pytest.raises(ValueError, match="the network gives NaN for this image"):
        inference.enhance(broken, images.to_integer(image, 8))
    assert np.isnan(inference.enhance(broken, image)).all()


def test_sizes_share_compiled_functions():
    inference.enhance(small(), random_image(30, 40))
    before = by_pixel._render._cache_size(), by_pixel._parameters._cache_size()
    for size in ((40, 51), (300, 401), (34, 50)):
        inference.enhance(small(), random_image(*size))
    after = by_pixel._render._cache_size(), by_pixel._parameters._cache_size()
    assert after[1] == before[1] and after[0] <= before[0] + 1  # of one piece, of several


def test_one_exported_program_serves_every_size():
    network = small()
    image = jax.ShapeDtypeStruct((*export.symbolic_shape("b, h, w"), 3), jnp.float32)
    program = export.export(jax.jit(lambda image: network(image)))(image)
    for size in ((9, 14), (60, 1)):
        pixels = random_image(*size)[None]
        np.testing.assert_allclose(program.call(pixels), whole(network, pixels), atol=2e-6)


def test_gradients_are_finite_on_a_constant_image():
    @jax.jit
    def gradient(model, image):
        loss = lambda model, image: jnp.sum(jnp.square(model(image) - 0.5))  # noqa: E731
        return jax.grad(loss, argnums=(0, 1))(model, image)

    constant = gradient(small(), jnp.full((6, 9, 3), 0.25))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(constant))
    of_weights, _ = gradient(small(), random_image(6, 9))
    leaves = jax.tree.leaves_with_path(of_weights.params)
    assert {path[0].key for path, leaf in leaves if leaf.any()} == set(small().params)


@pytest.mark.parametrize("zipped", [False, True])
def test_imported_files_enhance_on_the_command_line(tmp_path, zipped):
    path = tmp_path / "weights.pth"
    fake_torch_files.write(path, importer.to_variables(small()), zipped=zipped)
    images.write(tmp_path / "in.png", images.to_integer(random_image(20, 31), 16))
    for words in (["import", "neurop", path, tmp_path / "model"],
                  ["enhance", tmp_path / "in.png", tmp_path / "out.png",
                   "--checkpoint", tmp_path / "model"]):  # fmt: skip
        assert command_line.main([str(word) for word in words]) == 0
    pixels = images.read(tmp_path / "in.png").pixels
    out = images.read(tmp_path / "out.png").pixels
    np.testing.assert_array_equal(out, inference.enhance(small(), pixels))


def test_another_network_is_named():
    with pytest.raises(ValueError, match="so this is no NeurOp; the first names: a"):
        importer.load({"a": np.zeros(3)})


def test_what_is_no_file_of_pytorch_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file: .*absent.pth"):
        importer.load(tmp_path / "absent.pth")
    with pytest.raises(FileNotFoundError, match="no such file: .*absent"):
        importer.load(tmp_path / "absent")
    with pytest.raises(ValueError, match=r"must be a PyTorch file \(.pth, .*\) or .npz of its"):
        importer.load(tmp_path)

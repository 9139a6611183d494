"""LUTwithBGrid, SVDLUT, SepLUT: published photos, float64 transcriptions, tiles. 30 seconds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from bilateral_jax import __main__ as command_line
from bilateral_jax import images, inference, models, resize
from bilateral_jax.importers import adaptive_tables as importer
from bilateral_jax.models import model as model_lib
from bilateral_jax.models.layers import adaptive_transform
from tests import assets, fake_torch_files

LOADERS = {
    "LUTwithBGrid": importer.load_lut_bgrid,
    "SVDLUT": importer.load_svdlut,
    "SepLUT": importer.load_seplut,
}
KINDS = {"LUTwithBGrid": "lut-bgrid", "SVDLUT": "svdlut", "SepLUT": "seplut"}
SMALL = {
    "LUTwithBGrid": {"width": 1, "table_nodes": 4, "table_ranks": 2, "grid_nodes": 3},
    "SVDLUT": {"width": 1, "singular_values": 2, "grid_nodes": 3, "ranks": 2},
    "SepLUT": {"width": 1, "curve_nodes": 4, "table_nodes": 3},
}
# Each kind of positions with one network; SepLUT has no grids.
CASES = [("LUTwithBGrid", "integer_division"), ("SVDLUT", None), ("SepLUT", None)]
# Folder, input, published output, parameters, share of equal values.
PUBLISHED = {
    "LUTwithBGrid": ("lut_bgrid", "a0634_input.jpg", "a0634_result.png", 463_791, 0.997),
    "SVDLUT": ("svdlut", "a4632_input.jpg", "a4632_result.png", 160_478, 0.996),
}
SEPLUT_MEAN = (0.5038445, 0.4838308, 0.4937111)
SEPLUT_PIXEL = (0.5383892, 0.5220260, 0.5295578)

pytestmark = pytest.mark.usefixtures("compiled_quickly")


@functools.cache
def small(name, positions=None):
    fields = SMALL[name] | ({"positions": positions} if positions else {})
    module = models.create(name, fields)
    network = model_lib.Model.init(module, jax.random.key(1))
    rng = np.random.default_rng(0)  # the identity would hide much
    params = jax.tree.map(
        lambda leaf: leaf + 0.05 * rng.normal(size=leaf.shape).astype(np.float32), network.params
    )
    return network.replace(params=params)


def random_image(height, width):
    return np.random.default_rng(0).uniform(size=(height, width, 3)).astype(np.float32)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_published_photos_are_reproduced(name):
    folder, source, expected, count, share = PUBLISHED[name]
    network = LOADERS[name](assets.path(folder, "fivek_srgb.pth"))
    assert model_lib.parameter_count(network.params) == count
    assert network.module.positions == "integer_division"
    photo = images.to_float(images.read(assets.path(folder, source)).pixels)
    expected = images.read(assets.path(folder, expected)).pixels
    out = np.clip(inference.enhance(network, photo), 0, 1)
    # The published photos were truncated to integers.
    difference = np.abs((out * 255).astype(np.uint8).astype(int) - expected)
    assert difference.max() <= 1 and np.mean(difference == 0) >= share
    true = network.replace(module=network.module.clone(positions="align_corners"))
    other = np.clip(inference.enhance(true, photo), 0, 1)
    assert np.mean((other - out) ** 2) > 0.01  # the weights need their positions


def linear(x, layer):
    return x @ np.float64(layer["kernel"]) + np.float64(layer.get("bias", 0))


def features_by_loops(params, lowres, quarters):
    """The convolutions of `ImageFeatures` in float64, as the published code has them."""
    x = np.float64(lowres)
    for i in range(5):
        kernel, bias = (np.float64(params[f"conv_{i}"][leaf]) for leaf in ("kernel", "bias"))
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        n = len(x) // 2
        x = sum(
            padded[a : a + 2 * n : 2, b : b + 2 * n : 2] @ kernel[a, b]
            for a in range(3)
            for b in range(3)
        )
        x = x + bias
        x = np.where(x > 0, x, 0.2 * x)
        if i < 4:
            norm = params[f"norm_{i}"]
            deviation = np.sqrt(x.var((0, 1)) + 1e-5)
            x = (x - x.mean((0, 1))) / deviation * np.float64(norm["scale"])
            x = x + np.float64(norm["shift"])
    side, step = (4, 4) if quarters else (5, 2)
    pooled = [x[a : a + side, b : b + side].mean((0, 1)) for a in (0, step) for b in (0, step)]
    return np.stack(pooled, axis=-1).reshape(-1)


def interpolate(table, position):
    """Multilinear interpolation of `table[i, j, ..., :]` at one position, in nodes."""
    if not len(position):
        return table
    low = int(np.clip(np.floor(position[0]), 0, len(table) - 2))
    fraction = np.clip(position[0] - low, 0, 1)
    lower, upper = (interpolate(table[low + k], position[1:]) for k in (0, 1))
    return (1 - fraction) * lower + fraction * upper


def sums(params, features):
    weights = linear(features, params["weights"])
    return linear(weights, params["arrays"])


def seplut_by_loops(network, image):
    """The network in float64 from the published description: curves, then table."""
    params, module = network.params, network.module
    lowres = resize.resize_pixels(image, 256, method="bilinear")
    features = features_by_loops(params["features"], lowres, quarters=True)
    curves = 1 / (1 + np.exp(-linear(features, params["curves"]))).reshape(3, -1)
    table = sums(params["table"], features).reshape(3, *(module.table_nodes,) * 3)
    table = np.moveaxis(table, 0, -1)  # blue, green, red, output
    out = np.empty(image.shape)
    for index in np.ndindex(image.shape[:2]):
        color = [
            interpolate(curve, [value * (len(curve) - 1)])
            for curve, value in zip(curves, np.float64(image[index]), strict=True)
        ]
        out[index] = interpolate(table, np.array(color[::-1]) * (module.table_nodes - 1))
    return out


def ramp():
    y, x = np.mgrid[:12, :16]
    return np.stack([x / 15, y / 11, (x + y) / 26], -1).astype(np.float32)


def test_published_seplut_equals_a_float64_transcription():
    network = importer.load_seplut(assets.path("seplut", "fivek_srgb_m6_3d9_1d9.pth"))
    assert model_lib.parameter_count(network.params) == 47_175
    out = inference.enhance(network, ramp())
    np.testing.assert_allclose(out, seplut_by_loops(network, ramp()), atol=2e-6)
    # Nobody published outputs of these weights; these numbers are that transcription's.
    np.testing.assert_allclose(out.mean((0, 1)), SEPLUT_MEAN, atol=2e-6)
    np.testing.assert_allclose(out[5, 7], SEPLUT_PIXEL, atol=2e-6)


def svdlut_by_loops(network, image, positions):
    """The network in float64, plane by plane, as the published kernel adds them up."""
    params, module = network.params, network.module
    n, k, gn, grids = module.table_nodes, module.singular_values, module.grid_nodes, module.grids
    lowres = resize.resize_pixels(image, 256, method="bilinear")
    features = features_by_loops(params["features"], lowres, quarters=False)
    factors = sums(params["table_planes"], features).reshape(9, -1)
    left, values = factors[:, : n * k].reshape(9, n, k), factors[:, n * k : n * k + k]
    right = factors[:, n * k + k :].reshape(9, k, n)
    planes = (np.einsum("pik,pk,pkj->pij", left, values, right)).reshape(3, 3, n, n, 1)
    mix = sums(params["table_mix"], features).reshape(3, 4)
    grid_planes = sums(params["grid_planes"], features).reshape(3 * grids, 3, gn, gn, 1)
    grid_mix = sums(params["grid_mix"], features).reshape(grids, 12)
    weights, offsets = grid_mix[:, :9].reshape(-1, 3), grid_mix[:, 9:].reshape(-1)
    out = np.empty(image.shape)
    for row, column in np.ndindex(image.shape[:2]):
        color = np.float64(image[row, column])
        y, x = row / (len(image) - 1), column / (image.shape[1] - 1)
        if positions == "integer_division":
            y, x = np.floor([y, x])
        for channel in range(3):
            total = mix[channel, 3]
            for p, (first, second) in enumerate(((0, 1), (0, 2), (1, 2))):
                at = np.array([color[second], color[first]]) * (n - 1)
                total += mix[channel, p] * interpolate(planes[channel, p], at)[0]
            value = color[channel]
            for g in range(channel * grids, (channel + 1) * grids):
                for p, at in enumerate(([y, x], [value, x], [value, y])):
                    at = np.array(at) * (gn - 1)
                    total += weights[g, p] * interpolate(grid_planes[g, p], at)[0]
                total += offsets[g]
            out[row, column, channel] = max(total, 0)
    return out


@pytest.mark.parametrize("positions", adaptive_transform.POSITIONS)
def test_svdlut_equals_the_sum_of_its_planes(positions):
    network = small("SVDLUT", positions)
    image = random_image(5, 7)
    expected = svdlut_by_loops(network, image, positions)
    np.testing.assert_allclose(network(image), expected, atol=2e-5)


@pytest.mark.parametrize("positions", adaptive_transform.POSITIONS)
def test_slices_of_channels_equal_loops(positions):
    image = random_image(6, 5)
    grids = np.random.default_rng(1).normal(size=(3, 4, 3, 5, 2)).astype(np.float32)
    expected = np.empty((6, 5, 3, 2))
    for row, column, channel in np.ndindex(6, 5, 3):
        y, x = row / 5, column / 4
        if positions == "integer_division":
            y, x = np.floor([y, x])
        at = np.array([y * 3, x * 2, np.float64(image[row, column, channel]) * 4])
        expected[row, column, channel] = interpolate(np.float64(grids[channel]), at)
    slice_channels = functools.partial(
        adaptive_transform.slice_channels, jnp.asarray(grids)[None], positions=positions
    )
    np.testing.assert_allclose(slice_channels(image[None])[0], expected, atol=2e-6)
    part = slice_channels(image[None, 2:, 1:], window=jnp.array([[2, 1, 6, 5]]))[0]
    np.testing.assert_allclose(part, expected[2:, 1:], atol=2e-6)


@pytest.mark.parametrize(("name", "positions"), CASES)
def test_tiles_equal_the_whole(name, positions):
    network = small(name, positions)
    for size in ((21, 9), (1, 1), (9, 290)):
        image = random_image(*size)
        out = inference.enhance(network, image, tile_rows=8)
        np.testing.assert_allclose(out, network(image), atol=2e-6)


@pytest.mark.parametrize("name", ["LUTwithBGrid", "SVDLUT"])
def test_the_recommended_start_is_about_the_identity(name):
    module = models.create(name, {"width": 1}, preset="recommended")
    image = random_image(8, 8)
    out = model_lib.Model.init(module, jax.random.key(0))(image)
    # One number per part is 1 only about: what is left is a gain.
    ratio = np.asarray(out) / image
    assert ratio.std() < 0.06 and 0.5 < ratio.mean() < 1.5


@pytest.mark.parametrize(("name", "positions"), CASES)
def test_one_exported_program_serves_every_size(name, positions):
    network = small(name, positions)
    image = jax.ShapeDtypeStruct((*export.symbolic_shape("b, h, w"), 3), jnp.float32)
    program = export.export(jax.jit(lambda image: network(image)))(image)
    for size in ((9, 6), (1, 11)):
        pixels = random_image(*size)[None]
        np.testing.assert_allclose(program.call(pixels), network(pixels), atol=2e-6)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_gradients_reach_every_layer(name):
    @jax.jit
    def gradient(network, image):
        return jax.grad(lambda model: jnp.sum(jnp.square(model(image) - 0.5)))(network)

    leaves = jax.tree.leaves_with_path(gradient(small(name), random_image(9, 6)).params)
    assert all(np.isfinite(leaf).all() for _, leaf in leaves)
    for path, leaf in leaves:
        assert leaf.any(), jax.tree_util.keystr(path)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_imported_files_enhance_on_the_command_line(tmp_path, name):
    network = small(name)
    weights = importer.to_variables(network)
    fake_torch_files.write(tmp_path / "weights.pth", weights, zipped=name != "SVDLUT")
    images.write(tmp_path / "in.png", images.to_integer(random_image(20, 31), 8))
    commands = (
        ["import", KINDS[name], tmp_path / "weights.pth", tmp_path / "model"],
        ["enhance", tmp_path / "in.png", tmp_path / "out.png", "--checkpoint", tmp_path / "model"],
    )
    for words in commands:
        assert command_line.main([str(word) for word in words]) == 0
    published = small(name, None if name == "SepLUT" else "integer_division")
    out = images.read(tmp_path / "out.png").pixels
    expected = inference.enhance(published, images.read(tmp_path / "in.png").pixels)
    np.testing.assert_array_equal(out, expected)
    # As a training's checkpoint names them.
    stored = {f"state_dict.{key}": array for key, array in weights.items()}
    np.savez(tmp_path / "x.npz", **stored, **{"meta.epoch": np.zeros(1)})
    again = LOADERS[name](tmp_path / "x.npz")
    jax.tree.map(np.testing.assert_array_equal, again.params, network.params)


@pytest.mark.parametrize("name", ["LUTwithBGrid", "SVDLUT"])
def test_curves_are_spread_for_true_positions(name):
    weights = importer.to_variables(small(name))
    image = random_image(9, 8)
    published = LOADERS[name](weights)(image)
    spread = LOADERS[name](weights, positions="align_corners")
    assert spread.module.positions == "align_corners"
    np.testing.assert_allclose(spread(image)[:-1, :-1], published[:-1, :-1], atol=2e-6)


def test_other_networks_are_named():
    for name, load in LOADERS.items():
        with pytest.raises(ValueError, match=f"so this is no {name}; the first names: a"):
            load({"a": np.zeros(3)})
        with pytest.raises(ValueError, match=f"this {name} has a ResNet-18 in front"):
            load({"backbone.model.conv1.weight": np.zeros((64, 3, 7, 7))})
    variables = importer.to_variables(small("SepLUT"))
    variables["backbone.0.0.weight"] = variables["backbone.0.0.weight"][:0]
    with pytest.raises(ValueError, match="no kernels of a backbone .* so this is no SepLUT"):
        importer.load_seplut(variables)
    with pytest.raises(ValueError, match="positions must be one of"):
        models.create("SVDLUT", {"positions": "published"})

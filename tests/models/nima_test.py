"""NIMA's networks: the published graph's parameters and paddings, pixels, scores, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from bilateral_jax import models
from bilateral_jax.models import efficientnet, model, nima, vgg
from bilateral_jax.models.layers import convolutions

pytestmark = pytest.mark.usefixtures("compiled_quickly")

STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
CHANNELS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)


def shapes(name="NIMAMobileNet", **fields):
    module = models.create(name, fields)
    inputs = jax.eval_shape(module.example_inputs)
    return jax.eval_shape(module.init, jax.random.key(0), *inputs)


@pytest.fixture(scope="module")
def small():
    """A narrow network with random batch statistics, so that every leaf matters."""
    module = models.create("NIMAMobileNet", {"width": 0.125, "input_size": 32})
    network = model.Model.init(module, jax.random.key(0))
    rng = np.random.default_rng(0)

    def drawn(leaf):
        return jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape), jnp.float32)

    # At a network's depth of 27 layers random kernels fade; keep the features near 1.
    params = {k: v if "bn" not in k else jax.tree.map(drawn, v) for k, v in network.params.items()}
    return network.replace(params=params, batch_stats=jax.tree.map(drawn, network.batch_stats))


def loop_convolution(x, kernel, stride, groups):
    """One output pixel after the other, in float64: zeros on all four sides, then VALID."""
    side = kernel.shape[0]
    x = np.pad(x, ((side // 2,) * 2, (side // 2,) * 2, (0, 0)))
    rows, columns = ((n - side) // stride + 1 for n in x.shape[:2])
    out = np.zeros((rows, columns, kernel.shape[-1]))
    for i in range(rows):
        for j in range(columns):
            window = x[stride * i : stride * i + side, stride * j : stride * j + side]
            if groups:
                out[i, j] = (window * kernel).sum((0, 1))
            else:
                out[i, j] = np.tensordot(window, kernel, 3)
    return out


def literal(network, image):
    """The logits of the published graph, layer by layer."""
    leaves = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), network)

    def layer(x, name, stride, groups=False):
        x = loop_convolution(x, leaves.params[name]["kernel"], stride, groups)
        norm, seen = leaves.params[f"{name}_bn"], leaves.batch_stats[f"{name}_bn"]
        x = (x - seen["mean"]) / np.sqrt(seen["var"] + 1e-3) * norm["scale"] + norm["bias"]
        return np.clip(x, 0, 6)

    x = layer(image / 0.5 - 1.0, "conv1", 2)
    for i, stride in enumerate(STRIDES, 1):
        x = layer(layer(x, f"conv_dw_{i}", stride, True), f"conv_pw_{i}", 1)
    head = leaves.params["head"]
    return x.mean((0, 1)) @ head["kernel"] + head["bias"]


def test_mobilenet_has_the_published_parameters():
    tree = shapes()
    params, stats = tree["params"], tree["batch_stats"]
    head = model.parameter_count(params["head"])
    backbone = model.parameter_count(params) - head + model.parameter_count(stats)
    assert (backbone, head) == (3_228_864, 10_250)
    assert len(stats) == 27
    assert params["conv1"]["kernel"].shape == (3, 3, 3, 32)
    before = 32
    for i, channels in enumerate(CHANNELS, 1):
        assert params[f"conv_dw_{i}"]["kernel"].shape == (3, 3, before)
        assert params[f"conv_pw_{i}"]["kernel"].shape == (1, 1, before, channels)
        assert params[f"conv_dw_{i}_bn"]["scale"].shape == (before,)
        assert stats[f"conv_pw_{i}_bn"]["var"].shape == (channels,)
        before = channels
    assert params["head"]["kernel"].shape == (1024, 10)


def test_fields_make_a_small_network():
    fields = {"strides": [2, 1], "channels": [64, 96], "width": 0.5}
    params = shapes(**fields)["params"]
    assert "conv_dw_3" not in params
    assert params["conv_pw_2"]["kernel"].shape == (1, 1, 32, 48)
    assert params["head"]["kernel"].shape == (48, 10)
    module = models.create("NIMAMobileNet", fields)
    assert models.create(*models.describe(module)) == module


def test_feature_maps_have_the_published_sizes():
    module = models.create("NIMAMobileNet")
    image = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    _, seen = jax.eval_shape(
        lambda v, x: module.apply(v, x, capture_intermediates=True), shapes(), image
    )
    seen = seen["intermediates"]
    sides = [seen[f"conv_pw_{i}"]["__call__"][0].shape[1] for i in range(1, 14)]
    assert seen["conv1"]["__call__"][0].shape == (1, 112, 112, 32)
    assert sides == [112, 56, 56, 28, 28, 14, 14, 14, 14, 14, 14, 7, 7]


def test_mobilenet_equals_the_literal_graph(small):
    image = np.random.default_rng(1).uniform(size=(1, 34, 31, 3)).astype(np.float32)
    expected = literal(small, image[0])
    assert np.ptp(expected) > 0.1
    got = jax.jit(lambda x: small.apply(x)[0])(image)
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-4)


def test_even_sizes_are_padded_on_all_sides(small):
    """TensorFlow's SAME would leave the first row of a strided layer without a zero above it."""
    image = np.zeros((1, 4, 4, 3), np.float32)
    image[0, 0, 0] = 1
    kernel = jnp.arange(27.0).reshape(3, 3, 3, 1)
    layer = convolutions.Linear(1, 3, 2, padding=((1, 1), (1, 1)), use_bias=False, activate=False)
    out = layer.apply({"params": {"kernel": kernel}}, image)
    assert float(out[0, 0, 0, 0]) == float(kernel[1, 1, :, 0].sum())


@pytest.mark.parametrize("size", [(90, 70), (33, 50), (7, 300), (1, 1)])
def test_pixels_equal_those_of_pil(size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    image = pixels / np.float32(255)
    for method, tolerance in (("nearest", 1e-4), ("antialias", 1.0)):
        kind = {"nearest": PIL.Image.NEAREST, "antialias": PIL.Image.BILINEAR}[method]
        expected = np.asarray(PIL.Image.fromarray(pixels).resize((24, 24), kind), np.float32)
        got = 255 * np.asarray(nima.resize(image, size=24, method=method))
        # PIL rounds to 8 bits after the rows and again after the columns.
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)


def test_the_smooth_resize_reaches_every_pixel_and_keeps_the_mean():
    image = jnp.ones((60, 50, 3))
    gradient = jax.grad(lambda x: nima.resize(x, size=8).sum())(image)
    assert float(gradient.min()) > 0
    nearest = jax.grad(lambda x: nima.resize(x, size=8, method="nearest").sum())(image)
    assert int((nearest > 0).sum()) == 8 * 8 * 3
    np.testing.assert_allclose(nima.resize(image, size=8), 1.0, rtol=1e-6)


class FakeModel:
    """Stands in for a model: the logits are sums over a part of the square."""

    module = models.create("NIMAMobileNet", {"input_size": 20})

    def apply(self, image):
        assert image.shape[1:] == (20, 20, 3)
        return image.reshape(len(image), 10, -1).sum(-1)


def test_scores_of_photos_of_any_size():
    images = jnp.asarray(np.random.default_rng(2).uniform(size=(2, 3, 40, 50, 3)), jnp.float32)
    for method, meant in (("nearest", "nearest"), ("antialias", "antialias"), (None, "nearest")):
        got = nima.distribution(FakeModel(), images, method=method)
        assert got.shape == (2, 3, 10)
        squares = nima.resize(images, size=20, method=meant).reshape(2, 3, 10, -1)
        np.testing.assert_allclose(got, jax.nn.softmax(squares.sum(-1)), rtol=1e-5)
    smooth = nima.mean(nima.distribution(FakeModel(), images, method="antialias"))
    assert not np.allclose(smooth, nima.mean(got), rtol=1e-3)
    np.testing.assert_array_equal(nima.mean_score(FakeModel(), images), smooth)
    one = nima.mean_score(FakeModel(), images[1, 2], method=None)
    np.testing.assert_allclose(one, nima.mean(got)[1, 2], rtol=1e-6)


def test_squares_of_bytes(small):
    pixels = np.random.default_rng(5).integers(0, 256, (1, 34, 31, 3), dtype=np.uint8)
    shares = nima.of_squares(small, pixels)
    expected = np.exp(literal(small, pixels[0] / 255.0))
    np.testing.assert_allclose(shares[0], expected / expected.sum(), rtol=1e-3)


def test_mean_and_deviation():
    one, all_ = np.eye(10)[3], np.full(10, 0.1)
    shares = np.stack([one, all_, (np.eye(10)[0] + np.eye(10)[9]) / 2])
    np.testing.assert_allclose(nima.mean(shares), [4.0, 5.5, 5.5], rtol=1e-6)
    np.testing.assert_allclose(nima.deviation(shares), [0, np.sqrt(8.25), 4.5], rtol=1e-6)
    assert np.isfinite(jax.grad(nima.deviation)(jnp.asarray(one))).all()


def test_the_score_is_differentiable_in_the_photo(small):
    image = jnp.asarray(np.random.default_rng(3).uniform(size=(1, 40, 36, 3)), jnp.float32)
    compiled = jax.jit(jax.value_and_grad(lambda x: nima.mean_score(small, x)[0]))
    gradient = compiled(image)[1]
    assert np.isfinite(gradient).all()
    assert float((gradient == 0).mean()) < 0.2  # some features lie beyond 0 and 6
    step = 1e-3 * jnp.sign(gradient)
    expected = float((compiled(image + step)[0] - compiled(image - step)[0]) / 2)
    np.testing.assert_allclose(float((gradient * step).sum()), expected, rtol=0.05)


def test_training_moves_the_statistics_unless_they_are_frozen(small):
    image = np.random.default_rng(4).uniform(size=(4, 32, 32, 3)).astype(np.float32)

    def trained(key, moving):
        rngs = {"dropout": key}
        return small.apply(image, train=True, moving_statistics=moving, rngs=rngs)

    trained = jax.jit(trained, static_argnums=1)
    keys = [jax.random.key(0), jax.random.key(1)]
    one, moved = trained(keys[0], False)
    two, kept = trained(keys[0], True)
    assert not np.allclose(one, two)
    assert not np.allclose(two, trained(keys[1], True)[0])  # dropout
    for name, before in small.batch_stats.items():
        assert np.array_equal(before["mean"], kept.batch_stats[name]["mean"])
        assert not np.array_equal(before["mean"], moved.batch_stats[name]["mean"])
    conv1 = {"params": small.params["conv1"]}
    layer = convolutions.Linear(4, 3, 2, padding=((1, 1), (1, 1)), use_bias=False, activate=False)
    features = layer.apply(conv1, jnp.asarray(2 * image - 1))
    for leaf, value in (("mean", features.mean((0, 1, 2))), ("var", features.var((0, 1, 2)))):
        expected = 0.99 * small.batch_stats["conv1_bn"][leaf] + 0.01 * value
        np.testing.assert_allclose(moved.batch_stats["conv1_bn"][leaf], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"resize": "bicubic"}, "resize must be one of"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\)"),
        ({"input_size": 0}, "input_size must be at least 1"),
        ({"width": 0.0}, "width must be above 0"),
        ({"strides": (1, 2)}, "strides and channels must have one entry per block"),
    ],
)
def test_bad_hyperparameters_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        models.create("NIMAMobileNet", fields)


def test_bad_photos_are_refused(small):
    with pytest.raises(TypeError, match="image must be float"):
        nima.distribution(small, np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match=r"image must be \[\*b, h, w, 3\]"):
        nima.mean_score(small, np.zeros((8, 8, 4), np.float32))
    with pytest.raises(ValueError, match="method must be one of"):
        nima.resize(np.zeros((8, 8, 3), np.float32), size=4, method="area")


def test_vgg16_keeps_its_dense_layers():
    tree = shapes("NIMAVGG16")
    # 14,714,688 of the convolutions, 102,764,544 and 16,781,312 of the two layers, then the head.
    counts = {name: model.parameter_count(leaves) for name, leaves in tree["params"].items()}
    assert counts == {"trunk": 14_714_688, "fc6": 102_764_544, "fc7": 16_781_312, "head": 40_970}
    assert set(tree) == {"params"}


def test_vgg16_sees_red_green_and_blue_less_their_means():
    module = models.create("NIMAVGG16", {"width": 2, "hidden": 3, "input_size": 32})
    network = model.Model.init(module, jax.random.key(0))
    image = np.random.default_rng(6).uniform(size=(1, 32, 32, 3)).astype(np.float32)
    trunk = vgg.Trunk(vgg.DEPTHS["vgg16"], 2)
    seen = 255 * image - np.array([123.68, 116.779, 103.939], np.float32).reshape(1, 1, 1, 3)
    (x,) = trunk.apply({"params": network.params["trunk"]}, seen)
    x = np.asarray(x).reshape(1, -1)
    for name in ("fc6", "fc7", "head"):
        x = x @ network.params[name]["kernel"] + network.params[name]["bias"][None]
        x = x if name == "head" else np.maximum(x, 0)
    np.testing.assert_allclose(network.apply(image), x, rtol=1e-4, atol=1e-4)


def test_efficientnet_has_the_published_trunk_under_ten_outputs():
    tree = shapes("NIMAEfficientNet")
    counts = {name: model.parameter_count(leaves) for name, leaves in tree["params"].items()}
    assert counts.pop("head") == 12_810
    assert sum(counts.values()) == 4_652_008 - 1000 * 1281
    blocks = shapes("NIMAEfficientNet", blocks=[2, 4, 7, 10])["params"]
    assert set(blocks) == {"trunk", "head"} and "block11" not in blocks["trunk"]
    assert blocks["head"]["kernel"].shape == (24 + 40 + 80 + 112, 10)
    with pytest.raises(ValueError, match=r"blocks must be numbers in \[0, 16\), got \(16,\)"):
        models.create("NIMAEfficientNet", {"blocks": [16]})


def test_the_head_sees_the_means_of_blocks():
    fields = {"kernels": (3, 3), "strides": (1, 2), "expansions": (1, 2), "channels": (3, 4)}
    module = models.create("NIMAEfficientNet", fields | {"stem": 3, "blocks": [1, 0]})
    network = model.Model.init(module, jax.random.key(1))
    image = np.random.default_rng(6).random((2, 16, 16, 3), np.float32)
    trunk = efficientnet.Trunk(*fields.values(), 3)
    leaves = {"params": network.params["trunk"], "batch_stats": network.batch_stats["trunk"]}
    last, first = trunk.apply(leaves, image, layers=("block1", "block0"))
    x = np.concatenate([last.mean((1, 2)) / 7.0, first.mean((1, 2)) / 6.3], axis=-1)
    expected = x @ network.params["head"]["kernel"] + network.params["head"]["bias"][None]
    np.testing.assert_allclose(network.apply(image), expected, rtol=1e-4, atol=1e-5)


def test_it_is_rebuilt_from_its_description(small):
    name, fields = models.describe(small.module)
    assert models.create(name, fields) == small.module
    assert "axis_name" not in fields

"""models/efficientnet.py: sizes, padding, the arithmetic of small networks; feature networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import models
from bilateral_jax.models import efficientnet, feature_networks, model
from tests import margins

# A block of each kind: no expansion, an even and an odd kernel's stride, with and without skip.
SMALL = {
    "kernels": (3, 5, 5, 3),
    "strides": (1, 2, 1, 2),
    "expansions": (1, 3, 2, 2),
    "channels": (3, 4, 4, 5),
    "stem": 3,
    "head": 6,
    "classes": 7,
}


def shapes(module, *inputs, **options):
    """Shapes of the variables and of the output, without computing either."""
    key = jax.random.key(0)
    return jax.eval_shape(lambda *x: module.init_with_output(key, *x, **options), *inputs)


def test_the_published_sizes():
    module = models.create("EfficientNetLite0")
    out, variables = shapes(module, jnp.zeros((2, 224, 224, 3)))
    assert model.parameter_count(variables["params"]) == 4_652_008
    assert model.parameter_count(variables["batch_stats"]) == 42_016
    assert out.shape == (2, 1000)
    assert module.layers == ("stem", *(f"block{number}" for number in range(16)))
    assert module.stage_layers == ("block0", "block2", "block4", "block10", "block15")
    assert module.content_layers == ("block2", "block4", "block10")
    options = {"layers": module.stage_layers, "method": "features"}
    layers, _ = shapes(module, jnp.zeros((1, 101, 64, 3)), **options)
    found = [layer.shape[1:] for layer in layers]
    assert found == [(51, 32, 16), (26, 16, 24), (13, 8, 40), (7, 4, 112), (4, 2, 320)]
    assert models.create(*models.describe(module)) == module


@pytest.fixture(scope="module")
def small():
    """A small network whose every leaf matters."""
    module = models.create("EfficientNetLite0", SMALL)
    rng = np.random.default_rng(0)

    def drawn(path, leaf):
        name = jax.tree_util.keystr(path)
        if "kernel" in name:
            return np.float32(rng.normal(size=leaf.shape))
        return np.float32(rng.uniform(0.5, 1.5, leaf.shape))

    params, batch_stats = (
        jax.tree_util.tree_map_with_path(drawn, model.variable_shapes(module)[name])
        for name in ("params", "batch_stats")
    )
    return model.Model(params, batch_stats, module)


@jax.jit
def features_and_logits(network, images):
    return network.apply(images, network.module.layers, method="features"), network.apply(images)


def convolved(x, kernel, stride, *, depthwise=False):
    """One output pixel after the other, in float64, padded as TensorFlow's SAME."""
    side = kernel.shape[0]
    padding = []
    for length in x.shape[:2]:
        total = max((-(-length // stride) - 1) * stride + side - length, 0)
        padding.append((total // 2, total - total // 2))
    rows, columns = (-(-length // stride) for length in x.shape[:2])
    x = np.pad(x, (*padding, (0, 0)))
    out = np.zeros((rows, columns, kernel.shape[-1]))
    for i in range(rows):
        for j in range(columns):
            window = x[stride * i : stride * i + side, stride * j : stride * j + side]
            if depthwise:
                out[i, j] = (window * kernel).sum((0, 1))
            else:
                out[i, j] = np.tensordot(window, kernel, 3)
    return out


def literal(network, image):
    """Features of all layers and the logits, layer by layer."""
    params, stats = (
        jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)
        for tree in (network.params, network.batch_stats)
    )

    def normalised(x, name, part, inner):
        norm, seen = (
            tree[part] if inner is None else tree[part][inner] for tree in (params, stats)
        )
        norm, seen = norm[name], seen[name]
        return (x - seen["mean"]) / np.sqrt(seen["var"] + 1e-3) * norm["scale"] + norm["bias"]

    trunk = params["trunk"]
    x = convolved((255 * image - 127) / 128, trunk["conv_stem"]["kernel"], 2)
    x = np.clip(normalised(x, "stem_bn", "trunk", None), 0, 6)
    layers = {"stem": x}
    for number, stride in enumerate(SMALL["strides"]):
        inner = f"block{number}"
        block, start = trunk[inner], x
        if SMALL["expansions"][number] > 1:
            x = convolved(x, block["expand"]["kernel"], 1)
            x = np.clip(normalised(x, "expand_bn", "trunk", inner), 0, 6)
        x = convolved(x, block["depthwise"]["kernel"], stride, depthwise=True)
        x = np.clip(normalised(x, "depthwise_bn", "trunk", inner), 0, 6)
        x = normalised(convolved(x, block["project"]["kernel"], 1), "project_bn", "trunk", inner)
        x = layers[inner] = x + start if stride == 1 and x.shape == start.shape else x
    x = convolved(x, params["pooled"]["conv"]["kernel"], 1)
    x = np.clip(normalised(x, "conv_bn", "pooled", None), 0, 6).mean((0, 1))
    return layers, x @ params["classifier"]["kernel"] + params["classifier"]["bias"]


@pytest.mark.parametrize("size", [(12, 9), (7, 10)])
def test_the_arithmetic(small, size):
    image = np.random.default_rng(1).random((*size, 3), np.float32)
    layers, logits = literal(small, image.astype(np.float64))
    found, logits_found = features_and_logits(small, image[None])
    for name, features in zip(small.module.layers, found, strict=True):
        expected = layers[name]
        assert features.shape[1:] == expected.shape
        margins.below(np.abs(features[0] - expected).max() / np.abs(expected).max(), 1e-5)
    margins.below(np.abs(logits_found[0] - logits).max() / np.abs(logits).max(), 1e-5)


def test_features_of_any_leading_axes_divided_by_their_scales(small):
    images = np.random.default_rng(2).random((2, 1, 12, 10, 3), np.float32)
    layers = ("block3", "stem")

    @jax.jit
    def computed(network, images):
        plain = feature_networks.perceptual_features(network, layers=layers)(images)
        scaled = feature_networks.content_features(network, layers=layers)(images)
        return plain, scaled, network.apply(images[1], layers, method="features")

    plain, scaled, alone = computed(small, images)
    assert [x.shape[:2] for x in plain] == [(2, 1)] * 2
    for x, y, single, name in zip(plain, scaled, alone, layers, strict=True):
        np.testing.assert_allclose(x[1], single, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(y * efficientnet.feature_scale(name), x, rtol=1e-5, atol=1e-5)
    defaults = jax.eval_shape(feature_networks.perceptual_features(small), images)
    assert len(defaults) == len(small.module.stage_layers) == 3


def test_vgg_has_the_same_interface():
    module = models.create("VGG", {"depths": [1, 2], "width": 2})
    network = model.Model.init(module, jax.random.key(0))
    image = np.random.default_rng(3).random((1, 8, 8, 3), np.float32)
    (content,) = feature_networks.content_features(network)(image)
    np.testing.assert_array_equal(content, network.apply(image))
    stages = feature_networks.perceptual_features(network)(image)
    assert [x.shape for x in stages] == [(1, 8, 8, 2), (1, 4, 4, 4)]


def test_mistakes_are_named(small):
    with pytest.raises(ValueError, match="one entry per block, got 3, 4, 4, 4 entries"):
        shapes(
            models.create("EfficientNetLite0", SMALL | {"kernels": (3, 3, 3)}),
            jnp.zeros((1, 8, 8, 3)),
        )
    with pytest.raises(ValueError, match=r"layers must be some of stem, .*block3; got \('block9',"):
        feature_networks.content_features(small, layers=("block9",))
    with pytest.raises(ValueError, match=r"layers must be some of stem, .*; got \(\)"):
        feature_networks.perceptual_features(small, layers=())
    for shape in ((8, 8), (1, 8, 8, 4), (8, 8, 1)):
        for make in (feature_networks.content_features, feature_networks.perceptual_features):
            with pytest.raises(ValueError, match=r"image must be \[\*b, h, w, 3\], got shape"):
                make(small)(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="layers must be some of stem, .*; got 'stem'"):
        small.apply(np.zeros((1, 8, 8, 3), np.float32), "stem", method="features")
    other = model.Model.init(
        models.create("CAN", {"width": 2, "dilations": (1,)}), jax.random.key(0)
    )
    with pytest.raises(ValueError, match="model must be one of VGG, EfficientNetLite0, got CAN"):
        feature_networks.content_features(other)

"""models/vgg.py: sizes, names, pools, the arithmetic of a small trunk."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import models
from bilateral_jax.models import model, vgg

# The published numbers of parameters of the convolutions.
COUNTS = {"vgg16": 14_714_688, "vgg19": 20_024_384}


def shapes(module, *inputs, **options):
    """Shapes of the parameters and of the output, without computing either."""
    key = jax.random.key(0)
    return jax.eval_shape(lambda *x: module.init_with_output(key, *x, **options), *inputs)


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_trunks_have_the_published_sizes(name):
    trunk = vgg.Trunk(vgg.DEPTHS[name])
    (out,), variables = shapes(trunk, jnp.zeros((2, 224, 224, 3)))
    assert model.parameter_count(variables["params"]) == COUNTS[name]
    assert out.shape == (2, 7, 7, 512)
    assert len(trunk.names()) == {"vgg16": 13 + 5, "vgg19": 16 + 5}[name]


def test_patches_of_100_pixels_end_as_in_dped():
    patches = jnp.zeros((1, 100, 100, 3))
    assert shapes(models.create("VGG"), patches)[0].shape == (1, 7, 7, 512)
    assert shapes(models.create("VGG", {"padding": "VALID"}), patches)[0].shape == (1, 6, 6, 512)
    assert shapes(models.create("VGG"), patches, layer="relu3_4")[0].shape == (1, 25, 25, 256)
    assert models.create("VGG").last == "relu5_4"


def random_network(**fields):
    module = models.create("VGG", {"depths": [1, 2], "width": 2, **fields})
    leaves = shapes(module, *module.example_inputs())[1]["params"]
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), leaves)
    return model.Model(params, {}, module)


def convolved(x, layer):
    """Loops over the taps of a 3 x 3 kernel; zeros beyond the image; ReLU."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    height, width, _ = x.shape
    out = np.zeros((height, width, layer["kernel"].shape[-1])) + layer["bias"]
    for i in range(3):
        for j in range(3):
            out += padded[i : i + height, j : j + width] @ layer["kernel"][i, j].astype(np.float64)
    return np.maximum(out, 0)


def test_the_arithmetic():
    network = random_network(scale=2.0, mean=[0.1, 0.2, 0.3], deviation=[0.5, 1.0, 2.0])
    image = np.random.default_rng(1).random((5, 6, 3), np.float32)
    scaled = (2.0 * image.astype(np.float64) - [0.1, 0.2, 0.3]) / [0.5, 1.0, 2.0]
    trunk = network.params["trunk"]
    first = convolved(scaled, trunk["conv1_1"])
    padded = np.pad(first, ((0, 1), (0, 0), (0, 0)), constant_values=-np.inf)
    pooled = padded.reshape(3, 2, 3, 2, -1).max((1, 3))
    second = convolved(pooled, trunk["conv2_1"])
    expected = {"relu1_1": first, "pool1": pooled, "relu2_1": second}
    expected[None] = convolved(second, trunk["conv2_2"])
    for layer, features in expected.items():
        found = network.apply(image[None], layer=layer)[0]
        np.testing.assert_allclose(found, features, atol=1e-4 * features.max(), err_msg=layer)
    together = network.apply(image[None], ("pool1", "relu1_1"), method="features")
    for layer, found in zip(("pool1", "relu1_1"), together, strict=True):
        np.testing.assert_array_equal(found, network.apply(image[None], layer=layer))


def test_mistakes_are_named():
    with pytest.raises(ValueError, match='padding must be "SAME" or "VALID"'):
        vgg.Trunk(padding="same")
    with pytest.raises(ValueError, match="layers must be some of relu1_1, pool1.*'relu9_9'"):
        random_network().apply(np.zeros((1, 4, 4, 3), np.float32), layer="relu9_9")

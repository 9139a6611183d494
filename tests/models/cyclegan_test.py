"""CycleGAN's generator: against loops in float64, its size, any size of image, row tiles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import inference, models
from bilateral_jax.inference import by_row_tiles
from bilateral_jax.models import cyclegan, model
from tests.models import row_tiles_test

pytestmark = pytest.mark.usefixtures("compiled_quickly")


@pytest.fixture(scope="module")
def small():
    return row_tiles_test.with_random_weights(cyclegan.ResNetGenerator(width=2, blocks=2))


@jax.jit
def whole(network, image):
    """One program for each network and size."""
    return network(image)


def convolved(x, layer, stride=1):
    """A convolution without padding, as loops over the output."""
    kernel = np.asarray(layer["kernel"], np.float64)
    side = kernel.shape[0]
    rows, columns = ((n - side) // stride + 1 for n in x.shape[:2])
    out = np.zeros((rows, columns, kernel.shape[-1]))
    for i in range(rows):
        for j in range(columns):
            patch = x[i * stride : i * stride + side, j * stride : j * stride + side]
            out[i, j] = np.tensordot(patch, kernel, 3)
    return out + layer["bias"]


def transposed(x, layer):
    """Every pixel adds its taps around twice its position; what falls outside is dropped."""
    kernel = np.asarray(layer["kernel"], np.float64)[::-1, ::-1]
    height, width, _ = x.shape
    out = np.zeros((2 * height + 2, 2 * width + 2, kernel.shape[-1]))
    for i in range(height):
        for j in range(width):
            out[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += np.tensordot(x[i, j], kernel, (0, 2))
    return out[1 : 1 + 2 * height, 1 : 1 + 2 * width] + layer["bias"]


def pad(x, reach, mode="reflect"):
    return np.pad(x, [(reach, reach), (reach, reach), (0, 0)], mode=mode)


def normalised(x):
    x = x - x.mean((0, 1))
    return x / np.sqrt((x**2).mean((0, 1)) + 1e-5)


def by_loops(params, image, blocks):
    height, width, _ = image.shape
    x = np.pad(image, [(0, -height % 4), (0, -width % 4), (0, 0)], mode="reflect")
    x = 2 * x.astype(np.float64) - 1
    layers = iter(params[f"conv_{i}"] for i in range(5 + 2 * blocks))
    relu = lambda x: np.maximum(normalised(x), 0)  # noqa: E731
    x = relu(convolved(pad(x, 3), next(layers)))
    for _ in range(2):
        x = relu(convolved(pad(x, 1, "constant"), next(layers), stride=2))
    for _ in range(blocks):
        hidden = relu(convolved(pad(x, 1), next(layers)))
        x = x + normalised(convolved(pad(hidden, 1), next(layers)))
    for _ in range(2):
        x = relu(transposed(x, next(layers)))
    x = np.tanh(convolved(pad(x, 3), params["last"]))
    return 0.5 * x[:height, :width] + 0.5


@pytest.mark.parametrize("shape", [(12, 8), (17, 22)])
def test_the_generator_is_that_of_the_loops(small, shape):
    image = np.random.default_rng(1).random((*shape, 3), np.float32)
    out = whole(small, image)
    expected = by_loops(small.params, image, 2)
    assert out.shape == image.shape and expected.std() > 0.1
    np.testing.assert_allclose(out, expected, atol=5e-5)


def test_the_published_size():
    shapes = model.variable_shapes(models.create("ResNetGenerator"))["params"]
    count = lambda side, before, after: side**2 * before * after + after  # noqa: E731
    expected = count(7, 3, 64) + count(3, 64, 128) + count(3, 128, 256)
    expected += 18 * count(3, 256, 256)
    expected += count(3, 256, 128) + count(3, 128, 64) + count(7, 64, 3)
    assert model.parameter_count(shapes) == expected == 11_378_179
    fewer = model.variable_shapes(cyclegan.ResNetGenerator(blocks=6))["params"]
    assert model.parameter_count(fewer) == 11_378_179 - 6 * 590_080


@pytest.mark.parametrize("size, rows", [((33, 21), 7), ((30, 9), 32)])
def test_row_tiles_equal_the_whole(size, rows):
    network = row_tiles_test.with_random_weights(cyclegan.ResNetGenerator(width=2, blocks=1))
    image = np.random.default_rng(0).random((*size, 3), np.float32)
    tiled = inference.enhance(network, image, tile_rows=rows)
    np.testing.assert_allclose(tiled, whole(network, image), atol=1e-4)


def test_a_residual_generator_starts_as_the_identity_and_keeps_its_weights_apart():
    module = cyclegan.ResNetGenerator(width=2, blocks=1, residual=True)
    image = np.random.default_rng(0).random((33, 21, 3), np.float32)
    initial = model.Model.init(module, jax.random.key(0))
    np.testing.assert_array_equal(whole(initial, image), image)

    @jax.jit
    @jax.grad
    def gradient_of(params):
        return jnp.square(initial.replace(params=params).apply(image[None]) - 0.5).mean()

    assert np.abs(gradient_of(initial.params)["residual"]["kernel"]).max() > 1e-4
    network = row_tiles_test.with_random_weights(module)
    everything = whole(network, image)
    assert np.abs(everything - image).max() > 0.1
    np.testing.assert_allclose(
        inference.enhance(network, image, tile_rows=7), everything, atol=1e-4
    )
    # The two kinds read their last layer differently: weights of one in the other would be wrong.
    with pytest.raises(ValueError, match="residual"):
        model.Model.from_leaves(module.clone(residual=False), initial.params, {})


def test_independent_tiles_would_differ(small):
    image = np.random.default_rng(0).random((32, 20, 3), np.float32)
    alone, everything = (inference.enhance(small, part) for part in (image[:16], image))
    assert np.abs(alone - everything[:16]).max() > 1e-2


def test_the_halo_is_the_sum_over_layers():
    """7 x 7, two strided layers, 18 at a quarter, two transposed, 7 x 7; to a multiple of 4."""
    module = models.create("ResNetGenerator")
    assert by_row_tiles._halo(module, None) == 100 >= 4 + 2 * 2 + 2 * 4 + 18 * 4 + 4 + 2 + 3
    assert by_row_tiles._halo(module, 0) == 4
    assert module.inference_method.statistics == 23


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (3, 4)])
def test_tiny_images_keep_their_size(small, size):
    image = np.random.default_rng(0).random((*size, 3), np.float32)
    out = np.asarray(whole(small, image))
    assert out.shape == image.shape and 0 <= out.min() <= out.max() <= 1


def test_gradients_reach_every_layer_but_biases_before_a_norm(small):
    image = jnp.asarray(np.random.default_rng(0).random((1, 16, 16, 3)), jnp.float32)

    def value(params):
        return jnp.square(small.replace(params=params).apply(image) - 0.3).sum()

    gradient = jax.jit(jax.grad(value))(small.params)
    for name, layer in gradient.items():
        assert np.abs(layer["kernel"]).max() > 1e-4, name
        assert (np.abs(layer["bias"]).max() > 1e-4) == (name == "last"), name


def test_initial_weights_are_the_published_ones():
    network = model.Model.init(cyclegan.ResNetGenerator(width=8, blocks=1), jax.random.key(0))
    for name, layer in network.params.items():
        assert abs(float(layer["kernel"].std()) / 0.02 - 1) < 0.1 and not layer["bias"].any(), name


def test_fields_are_checked():
    with pytest.raises(ValueError, match="blocks must be a positive int, got 0"):
        models.create("ResNetGenerator", {"blocks": 0})
    with pytest.raises(ValueError, match="residual must be True or False, got 1"):
        models.create("ResNetGenerator", {"residual": 1})

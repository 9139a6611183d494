"""bfloat16 features: what is bfloat16, what stays float32, and how little the image changes."""

import functools

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import models, resize
from bilateral_jax.models.layers import convolutions as convolutions_lib
from bilateral_jax.models.model import Model

_SMALL = {"net_input_size": 16, "spatial_bin": 4, "luma_bins": 2}


pytestmark = pytest.mark.usefixtures("compiled_quickly")


@functools.cache
def _network(name="HDRNetCurves", preset="recommended", **fields):
    module = models.create(name, {**_SMALL, **fields}, preset=preset)
    return Model.init(module, jax.random.key(3))


def _short(network):
    """The same weights with bfloat16 features."""
    return network.replace(module=network.module.clone(dtype="bfloat16"))


def _whole(network, image):
    return jax.jit(Model.__call__)(network, image)


def _products(network, image):
    """The operand dtypes of every convolution and matrix product, forward and backward."""

    def loss(params):
        small = resize.resize(image, 16, method="area")
        grid = network.replace(params=params).apply(small, method="coefficients")
        out = network.apply(grid, image, method="render")
        return jnp.square(out).mean()

    jaxpr = jax.make_jaxpr(jax.grad(loss))(network.params)
    found = {"conv_general_dilated": [], "dot_general": []}

    def visit(jaxpr):
        for equation in jaxpr.eqns:
            if equation.primitive.name in found:
                dtypes = {str(each.aval.dtype) for each in equation.invars}
                found[equation.primitive.name].append("/".join(sorted(dtypes)))
            for inner in jax.extend.core.jaxprs_in_params(equation.params):
                visit(inner)

    visit(jaxpr.jaxpr)
    return found


def test_hidden_layers_multiply_bfloat16_and_the_last_one_float32():
    image = jnp.zeros((1, 16, 16, 3))
    long, short = (_products(each, image) for each in (_network(), _short(_network())))
    convolutions = short["conv_general_dilated"]
    assert set(long["conv_general_dilated"]) == {"float32"}
    # six hidden ones and the prediction, each with two gradients, the first without its input's
    assert sorted(set(convolutions)) == ["bfloat16", "float32"]
    assert convolutions.count("float32") == 3
    assert convolutions.count("bfloat16") == len(long["conv_general_dilated"]) - 3
    assert short["dot_general"].count("bfloat16") == 9  # three dense layers and their gradients


@pytest.mark.parametrize("name", sorted(n for n in models.REGISTRY if n.startswith("HDRNet")))
def test_parameters_gradients_grid_and_guide_are_float32(name):
    network = _short(_network(name))
    image = jnp.zeros((2, 16, 16, 3))

    def run(params):
        model = network.replace(params=params)
        grid = model.apply(image, method="coefficients")
        guide = model.apply(image, method="guide")
        return model.apply(grid, image, method="render"), grid, guide

    gradient = jax.grad(lambda params: jnp.square(run(params)[0]).mean())
    shapes = [jax.eval_shape(function, network.params) for function in (run, gradient)]
    for leaf in jax.tree.leaves([network.params, shapes]):
        assert leaf.dtype == jnp.float32


@pytest.mark.parametrize("preset, largest", [("recommended", 1 / 255), ("paper", 5 / 255)])
def test_the_matrices_hardly_move_and_keep_all_their_bits(preset, largest):
    """Random weights; in the paper's start the features decide everything."""
    network = _network(preset=preset)
    image = jax.random.uniform(jax.random.key(2), (1, 16, 16, 3))
    run = jax.jit(lambda model: model.apply(image, method="coefficients"))
    grid = np.asarray(run(_short(network)))
    difference = np.abs(grid - run(network))
    assert 0 < difference.max() < largest
    assert (grid != grid.astype(jnp.bfloat16).astype(np.float32)).mean() > 0.9


def test_enhance_works():
    network = _short(_network())
    image = np.random.default_rng(0).random((24, 20, 3), np.float32)
    out = _whole(network, image)
    assert out.dtype == jnp.float32
    difference = np.abs(out - _whole(_network(), image))
    assert 0 < difference.max() < 1 / 255


def test_sums_of_a_product_are_not_kept_in_bfloat16():
    """In bfloat16 256 + 1 is 256: a sum of ones would end there."""
    layer = convolutions_lib.Linear(
        1, kernel_size=0, dtype="bfloat16", kernel_init=_ones, activate=False
    )
    out, _ = layer.init_with_output(jax.random.key(0), jnp.ones((1, 1000)))
    assert out.dtype == jnp.bfloat16 and float(out[0, 0]) == 1000
    layer = convolutions_lib.Linear(
        1, kernel_size=5, dtype="bfloat16", kernel_init=_ones, activate=False
    )
    out, _ = layer.init_with_output(jax.random.key(0), jnp.ones((1, 5, 5, 40)))
    assert float(out[0, 2, 2, 0]) == 1000


def test_batch_moments_are_taken_in_float32():
    """A large mean and a small spread, of which bfloat16 sums would leave nothing."""
    layer = convolutions_lib.Linear(4, kernel_size=0, batch_norm=True, dtype="bfloat16")
    x = 1 + 2.0 ** jax.random.randint(jax.random.key(0), (4096, 4), -6, -3).astype(jnp.float32)
    variables = layer.init(jax.random.key(1), x)
    identity = {"kernel": jnp.eye(4), "batch_norm": variables["params"]["batch_norm"]}
    variables = {**variables, "params": identity}
    _, updates = layer.apply(variables, x, train=True, mutable=["batch_stats"])
    moved = updates["batch_stats"]["batch_norm"]
    assert moved["mean"].dtype == moved["variance"].dtype == jnp.float32
    np.testing.assert_allclose(moved["mean"] / 1e-3, x.mean(0), rtol=1e-4)
    np.testing.assert_allclose((moved["variance"] - 0.999) / 1e-3, x.var(0), rtol=0.3)


def test_a_checkpoint_keeps_the_choice():
    name, fields = models.describe(_short(_network()).module)
    assert fields["dtype"] == "bfloat16"
    assert models.create(name, fields) == _short(_network()).module
    del fields["dtype"]  # weights from before there was a choice
    assert models.create(name, fields) == _network().module


def test_other_types_are_refused():
    with pytest.raises(ValueError, match="dtype must be one of .*'bfloat16'.*, got 'float16'"):
        models.create("HDRNetCurves", {"dtype": "float16"})


def _ones(key, shape, dtype=jnp.float32):
    del key
    return jnp.ones(shape, dtype)

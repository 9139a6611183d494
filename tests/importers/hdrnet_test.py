"""The original's variables to our networks and back; wrong ones are named."""

import functools

import jax
import numpy as np
import pytest

from bilateral_jax import models
from bilateral_jax.importers import hdrnet
from bilateral_jax.models import model as model_lib
from tests.importers.formats import tensor_bundle_test as bundles

SIZES = [
    ("HDRNetCurves", {}),
    ("HDRNetCurves", {"net_input_size": 64, "spatial_bin": 8, "luma_bins": 3, "batch_norm": True}),
    ("HDRNetPointwiseNNGuide", {"channel_multiplier": 2, "guide_complexity": 5}),
    ("HDRNetPointwiseNNGuide", {"net_input_size": 32, "spatial_bin": 16, "luma_bins": 16}),
    ("HDRNetGaussianPyrNN", {"net_input_size": 512, "spatial_bin": 32, "luma_bins": 4}),
    ("HDRNetGaussianPyrNN", {"net_input_size": 128, "spatial_bin": 4, "batch_norm": True}),
]
SMALL = {"net_input_size": 16, "spatial_bin": 4, "luma_bins": 2, "guide_complexity": 3}


def shapes_only(name, fields):
    """The original's variables of a network, all zero."""
    table = hdrnet.table(models.create(name, fields))
    return {f"{original}:0": np.zeros(shape, np.float32) for original, (_, shape) in table.items()}


@functools.cache
def random_variables(name):
    model = model_lib.Model.init(
        models.create(name, SMALL | {"batch_norm": True}), jax.random.key(0)
    )
    return hdrnet.to_variables(model)


@pytest.mark.parametrize("name, fields", SIZES)
def test_network_and_hyperparameters_follow_from_names_and_shapes(name, fields):
    model = hdrnet.load(shapes_only(name, fields))
    assert model.module == models.create(name, fields)


def test_an_ambiguous_grid_size_is_an_option():
    fields = {"net_input_size": 24, "spatial_bin": 6}
    variables = shapes_only("HDRNetCurves", fields)
    assert hdrnet.load(variables).module.spatial_bin == 8
    assert hdrnet.load(variables, spatial_bin=6).module == models.create("HDRNetCurves", fields)
    with pytest.raises(ValueError, match="spatial_bin 12 does not fit"):
        hdrnet.load(variables, spatial_bin=12)


@pytest.mark.parametrize("name", sorted(n for n in models.REGISTRY if n.startswith("HDRNet")))
def test_round_trip(name):
    variables = random_variables(name)
    model = hdrnet.load(variables)
    back = hdrnet.to_variables(model)
    assert back.keys() == variables.keys()
    for key, array in variables.items():
        np.testing.assert_array_equal(back[key], array)


def test_names_are_the_originals():
    names = hdrnet.table(models.create("HDRNetGaussianPyrNN", {"batch_norm": True}))
    for name, shape in {
        "inference/coefficients/splat/conv1/biases": (8,),
        "inference/coefficients/splat/conv4/BatchNorm/moving_variance": (64,),
        "inference/coefficients/global/fc1/weights": (1024, 256),
        "inference/coefficients/local/conv2/weights": (3, 3, 64, 64),
        "inference/coefficients/prediction/conv1/weights": (1, 1, 64, 288),
        "inference/guide/level_2/conv1/BatchNorm/beta": (16,),
        "inference/guide/level_0/conv2/weights": (1, 1, 16, 1),
    }.items():
        assert names[name][1] == shape
    curves = hdrnet.table(models.create("HDRNetCurves"))
    assert curves["inference/guide/slopes"][1] == (1, 1, 1, 3, 16)
    assert curves["inference/guide/channel_mixing/biases"] == (
        "params/guide_network/mix_bias",
        (1,),
    )


def test_npz_and_checkpoint_give_what_the_dictionary_gives(tmp_path):
    variables = random_variables("HDRNetCurves")
    slots = {f"{name}/Adam": array for name, array in variables.items()}
    slots |= {"inference/beta1_power": np.float32(0.9), "global_step": np.int64(7)}
    everything = variables | {k: np.asarray(v) for k, v in slots.items()}
    np.savez(tmp_path / "weights.npz", **{f"{name}:0": array for name, array in everything.items()})
    bundles.write_bundle(tmp_path / "model.ckpt", everything, shards=2)
    expected = hdrnet.load(variables)
    for source in (everything, tmp_path / "weights.npz", tmp_path / "model.ckpt", tmp_path):
        loaded = hdrnet.load(source)
        assert loaded.module == expected.module
        jax.tree.map(np.testing.assert_array_equal, loaded, expected)


def test_wrong_variables_are_named():
    variables = random_variables("HDRNetPointwiseNNGuide")
    local, fc3 = (
        "inference/coefficients/local/conv1/weights",
        "inference/coefficients/global/fc3/biases",
    )
    missing = {name: array for name, array in variables.items() if name not in (local, fc3)}
    with pytest.raises(
        ValueError, match=r"missing: .*fc3/biases \(16,\).*missing: .*local/conv1/weights"
    ):
        hdrnet.load(missing)
    with pytest.raises(ValueError, match=r"unexpected: inference/extra \(2,\)"):
        hdrnet.load(variables | {"inference/extra": np.zeros(2)})
    with pytest.raises(ValueError, match=r"wrong shape: .*fc3/biases is \(17,\), expected \(16,\)"):
        hdrnet.load(variables | {fc3: np.zeros(17, np.float32)})
    with pytest.raises(
        ValueError, match=r"no variable starts with 'inference/'.*first names: g_conv1"
    ):
        hdrnet.load({"g_conv1/weights": np.zeros((3, 3))})
    with pytest.raises(ValueError, match=r"no HDRNet; the first names: none|first names: none"):
        hdrnet.load({})
    with pytest.raises(ValueError, match=r"prediction/conv1 channels \(25\) is no multiple of"):
        prediction = "inference/coefficients/prediction/conv1/weights"
        hdrnet.load(variables | {prediction: np.zeros((1, 1, 16, 25), np.float32)})


def test_files_that_are_no_weights_are_named(tmp_path):
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(ValueError, match="broken.npz cannot be read as an .npz"):
        hdrnet.load(tmp_path / "broken.npz")
    with pytest.raises(FileNotFoundError, match=r"absent"):
        hdrnet.load(tmp_path / "absent.npz")
    with pytest.raises(FileNotFoundError, match="no TensorFlow checkpoint"):
        hdrnet.load(tmp_path / "absent")

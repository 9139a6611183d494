"""The original UPE's variables to our network and back; wrong and missing ones are named."""

import functools

import jax
import numpy as np
import pytest

from bilateral_jax import __main__ as command_line
from bilateral_jax import models
from bilateral_jax.checkpoints import networks
from bilateral_jax.importers import hdrnet, upe
from tests.importers.formats import tensor_bundle_test as bundles

SMALL = {"net_input_size": 16, "spatial_bin": 4, "luma_bins": 2}
COEFFICIENTS = "inference/coefficients/"


@functools.cache
def random_variables():
    return drawn("UPE")


def drawn(name):
    rng, table = np.random.default_rng(0), hdrnet.table(models.create(name, SMALL))
    shapes = {name: shape for name, (_, shape) in table.items()}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_names_and_shapes_of_the_published_graph():
    shapes = {name: shape for name, (_, shape) in hdrnet.table(models.create("UPE")).items()}
    assert len(shapes) == 53
    for name, shape in {
        "splat/conv1/weights": (3, 3, 3, 8),
        "splat/conv4/biases": (64,),
        "global/conv12/weights": (3, 3, 64, 64),
        "global/fc1/weights": (1024, 256),
        "local/conv1/biases": (64,),
        "local/conv6/weights": (3, 3, 64, 64),
        "prediction/conv1/weights": (1, 1, 64, 96),
    }.items():
        assert shapes[COEFFICIENTS + name] == shape
    assert f"{COEFFICIENTS}local/conv2/biases" not in shapes
    assert shapes["inference/guide/slopes"] == (1, 1, 1, 3, 16)
    variables = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    assert upe.load(variables).module == models.create("UPE")


def test_round_trip():
    variables = random_variables()
    model = upe.load(variables)
    assert model.module == models.create("UPE", SMALL)
    back = hdrnet.to_variables(model)
    assert back.keys() == variables.keys()
    for key, array in variables.items():
        np.testing.assert_array_equal(back[key], array)


def test_a_checkpoint_becomes_a_model_that_the_command_line_knows(tmp_path, capsys):
    variables = random_variables()
    slots = {f"{name}/Adam": array for name, array in variables.items()}
    slots |= {"loss/ExponentialMovingAverage": np.float32(0.5), "global_step": np.int64(7)}
    bundles.write_bundle(
        tmp_path / "model.ckpt", variables | {k: np.asarray(v) for k, v in slots.items()}
    )
    arguments = ["import", "upe", str(tmp_path / "model.ckpt"), str(tmp_path / "run")]
    assert command_line.main([*arguments, "--rendering", "script"]) == 0
    assert "UPE with " in capsys.readouterr().out
    model = networks.load_model(tmp_path / "run")
    assert model.module == models.create("UPE", SMALL | {"rendering": "script"})
    jax.tree.map(np.testing.assert_array_equal, model.params, upe.load(variables).params)


def test_an_index_without_its_data_is_named(tmp_path, capsys):
    """The state in which the published repository has been found."""
    bundles.write_bundle(tmp_path / "model.ckpt", random_variables())
    (data,) = tmp_path.glob("model.ckpt.data-*")
    data.unlink()
    assert command_line.main(["import", "upe", str(tmp_path), str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err
    assert "lacks its data file" in error and data.name in error
    assert not (tmp_path / "run").exists()


def test_wrong_variables_are_named():
    variables = random_variables()
    name = f"{COEFFICIENTS}global/conv12/biases"
    with pytest.raises(ValueError, match=r"do not fit UPE: missing: .*conv12/biases \(16,\)"):
        upe.load({key: array for key, array in variables.items() if key != name})
    with pytest.raises(ValueError, match=r"unexpected: .*local/conv2/biases \(16,\)"):
        upe.load(variables | {f"{COEFFICIENTS}local/conv2/biases": np.zeros(16)})
    with pytest.raises(ValueError, match="global/conv3/weights is missing, so this is no UPE"):
        upe.load(drawn("HDRNetCurves"))
    with pytest.raises(ValueError, match="this is no UPE; the first names: none"):
        upe.load({})
    with pytest.raises(ValueError, match="rendering must be one of"):
        upe.load(variables, rendering="float")

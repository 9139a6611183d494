"""Networks on disk: in a run, in an exported folder, and what is refused."""

import pathlib

import jax
import numpy as np
import pytest

from bilateral_jax import models
from bilateral_jax.checkpoints import networks, trees
from bilateral_jax.models import model as model_lib


def test_a_model_is_found_in_a_run_and_in_an_exported_folder(tmp_path):
    params = {"conv": {"kernel": np.ones((3, 3), np.float32)}}
    average = {"conv": {"kernel": np.full((3, 3), 2, np.float32)}}
    networks.save(
        tmp_path / "model",
        name="Net",
        hyperparameters={"gd": 8},
        params=params,
        metadata={"source": "elsewhere"},
    )
    exported = networks.load(tmp_path / "model")
    assert (exported.name, exported.hyperparameters, exported.batch_stats) == ("Net", {"gd": 8}, {})
    assert exported.metadata["source"] == "elsewhere"
    np.testing.assert_array_equal(exported.params["conv"]["kernel"], params["conv"]["kernel"])
    with pytest.raises(ValueError, match="already holds a model"):
        networks.save(tmp_path / "model", name="Net", hyperparameters={}, params=params)

    run = tmp_path / "run"
    entry = networks.entry("Net", {"gd": 4}, params="ema_params")
    state = {
        "params": params,
        "ema_params": average,
        "batch_stats": {"m": np.zeros(2)},
        "step": np.int32(3),
    }
    trees.save(trees.run_folder(run), 3, state, metadata={"model": entry})
    for path in (run, str(trees.run_folder(run))):
        loaded = networks.load(path)
        assert loaded.hyperparameters == {"gd": 4} and loaded.metadata["step"] == 3
        np.testing.assert_array_equal(loaded.params["conv"]["kernel"], 2)
        assert list(loaded.batch_stats) == ["m"]
    holder = {"generator": state, "critic": {"average": average}}
    entry = networks.entry(
        "Net", {}, params="generator/params", batch_stats="generator/batch_stats"
    )
    trees.save(trees.run_folder(run), 4, holder, metadata={"model": entry})
    loaded = networks.load(run)
    np.testing.assert_array_equal(loaded.params["conv"]["kernel"], params["conv"]["kernel"])
    assert list(loaded.batch_stats) == ["m"]
    entry = networks.entry("Net", {}, params="generator/ema")
    trees.save(trees.run_folder(run), 5, holder, metadata={"model": entry})
    with pytest.raises(ValueError, match="not the weights 'generator/ema'"):
        networks.load(run)


def test_a_folder_without_a_model_says_so(tmp_path):
    trees.save(tmp_path, 1, {"a": np.zeros(3)})
    with pytest.raises(ValueError, match="no description of a model"):
        networks.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="not a folder"):
        networks.load(pathlib.Path("no/such/folder"))


def test_weights_that_do_not_fit_are_errors(tmp_path):
    fields = {"net_input_size": 16, "spatial_bin": 4, "luma_bins": 2}
    module = models.create("HDRNetCurves", fields, preset="recommended")
    params = model_lib.Model.init(module, jax.random.key(0)).params
    name, hyperparameters = models.describe(module)
    changed = dict(params, guide_network={"ccm": np.zeros((3, 4))})
    for folder, leaves in (("good", params), ("bad", changed)):
        networks.save(tmp_path / folder, name=name, hyperparameters=hyperparameters, params=leaves)
    message = r"bad: .* missing: params/guide_network/.*ccm is \(3, 4\), expected \(3, 3\)"
    with pytest.raises(ValueError, match=message):
        networks.load_model(tmp_path / "bad")
    loaded = networks.load_model(tmp_path / "good", module=module)
    assert loaded.module is module
    jax.tree.map(np.testing.assert_array_equal, loaded.params, params)
    with pytest.raises(ValueError, match="the weights of HDRNetCurves, expected those of CAN"):
        networks.load_model(tmp_path / "good", module=models.create("CAN", {}))


def _save(path, weights, **description):
    entry = {**networks.entry("CAN", {"width": 2, "dilations": (1,)}), **description}
    trees.save(path, 0, {"params": weights}, metadata={"model": entry})


@pytest.fixture(scope="module")
def small_network():
    module = models.create("CAN", {"width": 2, "dilations": (1,)})
    return jax.device_get(model_lib.Model.init(module, jax.random.key(0)).params)


@pytest.mark.parametrize(
    "description",
    [{"name": None}, {"hyperparameters": []}, {"params": 3}, {"batch_stats": None}],
)
def test_an_odd_description_is_damage(small_network, tmp_path, description):
    _save(tmp_path, small_network, **description)
    (field,) = description
    with pytest.raises(trees.DamagedCheckpointError, match=f"no {field}"):
        networks.load_model(tmp_path)


@pytest.mark.parametrize(
    "field, value",
    [
        ("width", 10**9),
        ("width", 1e30),
        ("conditions", 10**12),
        ("dilations", [1, 10**9]),
        ("width", "2"),
        ("width", [2]),
        ("width", {"a": 1}),
        ("width", None),
        ("width", -3),
        ("width", 2.5),
        ("dilations", 3),
        ("dilations", [[1]]),
        ("dilations", "abc"),
        ("conditions", None),
        ("channel_order", 7),
    ],
)
def test_odd_hyperparameters_are_refused_before_anything_is_made(
    small_network, tmp_path, field, value
):
    _save(tmp_path, small_network, hyperparameters={"width": 2, "dilations": (1,), field: value})
    with pytest.raises(ValueError) as caught:
        networks.load_model(tmp_path)
    assert len(str(caught.value)) < 600


def test_a_grid_of_a_thousand_million_planes_is_not_made(tmp_path):
    module = models.create("HDRNetCurves", {"net_input_size": 16, "spatial_bin": 4, "luma_bins": 2})
    shapes = model_lib.variable_shapes(module)["params"]
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    forged = {"net_input_size": 16, "spatial_bin": 4, "luma_bins": 10**9}
    networks.save(tmp_path, name="HDRNetCurves", hyperparameters=forged, params=params)
    with pytest.raises(trees.DamagedCheckpointError, match="luma_bins 1000000000 cannot be that"):
        networks.load_model(tmp_path)

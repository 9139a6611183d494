"""Networks on disk: found in a run and in an exported folder, or said to be missing."""

import pathlib

import numpy as np
import pytest

from bilateral_jax import checkpoints, saved_models


def test_a_model_is_found_in_a_run_and_in_an_exported_folder(tmp_path):
    params = {"conv": {"kernel": np.ones((3, 3), np.float32)}}
    average = {"conv": {"kernel": np.full((3, 3), 2, np.float32)}}
    saved_models.save(
        tmp_path / "model",
        name="Net",
        hyperparameters={"gd": 8},
        params=params,
        metadata={"source": "elsewhere"},
    )
    exported = saved_models.load(tmp_path / "model")
    assert (exported.name, exported.hyperparameters, exported.batch_stats) == ("Net", {"gd": 8}, {})
    assert exported.metadata["source"] == "elsewhere"
    np.testing.assert_array_equal(exported.params["conv"]["kernel"], params["conv"]["kernel"])
    with pytest.raises(ValueError, match="already holds a model"):
        saved_models.save(tmp_path / "model", name="Net", hyperparameters={}, params=params)

    run = tmp_path / "run"
    entry = saved_models.entry("Net", {"gd": 4}, params="ema_params")
    state = {
        "params": params,
        "ema_params": average,
        "batch_stats": {"m": np.zeros(2)},
        "step": np.int32(3),
    }
    checkpoints.save(checkpoints.run_folder(run), 3, state, metadata={"model": entry})
    for path in (run, str(checkpoints.run_folder(run))):
        loaded = saved_models.load(path)
        assert loaded.hyperparameters == {"gd": 4} and loaded.metadata["step"] == 3
        np.testing.assert_array_equal(loaded.params["conv"]["kernel"], 2)
        assert list(loaded.batch_stats) == ["m"]
    holder = {"generator": state, "critic": {"average": average}}
    entry = saved_models.entry(
        "Net", {}, params="generator/params", batch_stats="generator/batch_stats"
    )
    checkpoints.save(checkpoints.run_folder(run), 4, holder, metadata={"model": entry})
    loaded = saved_models.load(run)
    np.testing.assert_array_equal(loaded.params["conv"]["kernel"], params["conv"]["kernel"])
    assert list(loaded.batch_stats) == ["m"]
    entry = saved_models.entry("Net", {}, params="generator/ema")
    checkpoints.save(checkpoints.run_folder(run), 5, holder, metadata={"model": entry})
    with pytest.raises(ValueError, match="not the weights 'generator/ema'"):
        saved_models.load(run)


def test_a_folder_without_a_model_says_so(tmp_path):
    checkpoints.save(tmp_path, 1, {"a": np.zeros(3)})
    with pytest.raises(ValueError, match="no description of a model"):
        saved_models.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="not a folder"):
        saved_models.load(pathlib.Path("no/such/place"))

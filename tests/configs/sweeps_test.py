"""Trials of sweeps: combination, names, validation, stored configs."""

import json

import ml_collections
import pytest

from configs import stored
from configs.sweeps import combine, hdrnet, smoke
from experiments.sweeps import trials

BASE = ml_collections.ConfigDict(
    {
        "steps": 10,
        "model": {"bins": 4, "name": "a", "norm": False},
        "data": {"name": "b"},
        "rate": 0.1,
    }
)


def test_product_varies_the_last_axis_fastest():
    assert combine.product({"a": [1, 2], "b": ["x", "y"]}) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]


def test_zipped_varies_its_axes_together():
    assert combine.zipped({"a": [1, 2], "b": (3, 4)}) == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]


def test_combinations_nest_and_concatenate():
    together = combine.zipped({"a": [1, 2], "b": [3, 4]})
    crossed = combine.product(together, {"seed": range(2)})
    assert len(crossed) == 4 and crossed[1] == {"a": 1, "b": 3, "seed": 1}
    assert combine.zipped(together, {"c": [5, 6]})[1] == {"a": 2, "b": 4, "c": 6}
    assert len(crossed + [{"a": 9}]) == 5


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: combine.product({"a": []}), ValueError, "without values"),
        (lambda: combine.zipped({"a": []}), ValueError, "without values"),
        (lambda: combine.product({"a": [1]}, {"a": [2]}), ValueError, r"\['a'\] on two axes"),
        (lambda: combine.zipped({"a": [1, 2], "b": [1]}), ValueError, "one length"),
        (lambda: combine.product({"a": "xy"}), TypeError, "a: expected a list"),
    ],
)
def test_invalid_combinations_are_rejected(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_trials_are_complete_configs():
    first, second = trials.expand(BASE, [{"model.bins": 8, "rate": 1}, {}])
    assert first.name == "model.bins=8,rate=1" and second.name == "base"
    assert first.config["model"] == {"bins": 8, "name": "a", "norm": False}
    assert first.config["rate"] == 1.0 and isinstance(first.config["rate"], float)
    assert second.config == json.loads(BASE.to_json())


@pytest.mark.parametrize(
    "overrides, words",
    [
        ({"model.colour": 1}, "override model.colour: the base config has no such entry"),
        ({"bins": 1}, "it has model.bins$"),  # the likely intended entry
        ({"steps.x": 1}, "override steps.x"),
        ({"model.bins": 2.5}, r"override model.bins: expected int .* \(4\), got 2.5"),
        ({"model.bins": "8"}, "expected int"),
        ({"model.bins": True}, "expected int"),
        ({"model.norm": 1}, "expected bool"),
        ({"model.name": None}, "expected str"),
        ({"model": 3}, "override model"),
    ],
)
def test_overrides_must_match_the_base_config(overrides, words):
    with pytest.raises(ValueError, match=words):
        trials.expand(BASE, [{}, overrides])


def test_empty_and_duplicate_trials_are_rejected():
    with pytest.raises(ValueError, match="no trials"):
        trials.expand(BASE, [])
    with pytest.raises(ValueError, match="rate=0.1 is listed twice"):
        trials.expand(BASE, [{"rate": 0.1}, {"rate": 0.1}])


def test_trial_names_are_valid_folder_names():
    odd = [{"data.name": "/a b/../c"}, {"data.name": "/a b/__/c"}, {"data.name": "x" * 300}]
    names = [trial.name for trial in trials.expand(BASE, odd)]
    assert len(set(names)) == 3
    assert all("/" not in name and " " not in name and len(name) < 130 for name in names)


def test_stored_configs_round_trip_and_are_not_overwritten(tmp_path):
    (trial,) = trials.expand(BASE, [{"rate": 1}])
    trials.store([trial], tmp_path)
    path = tmp_path / trial.name / trials.CONFIG
    assert json.loads(stored.get_config(path).to_json()) == trial.config
    trials.store([trial], tmp_path)
    other = ml_collections.ConfigDict(BASE)
    other.steps = 11
    plan = trials.expand(other, [{"rate": 2}, {"rate": 1}])
    with pytest.raises(ValueError, match="steps: 10 there, 11 now"):
        trials.store(plan, tmp_path)
    assert not (tmp_path / "rate=2").exists()  # validated before anything is written


@pytest.mark.parametrize("file, count", [(smoke, 4), (hdrnet, 12)])
def test_sweep_files_expand(file, count):
    sweep = file.get_config()
    assert len(trials.expand(sweep.base, sweep.trials)) == count

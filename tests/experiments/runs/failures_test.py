"""Non-finite steps are recorded, replayed or skipped; a work directory has one run at a time."""

import sys

import jax
import numpy as np
import pytest

from bilateral_jax.checkpoints import trees
from bilateral_jax.data import registry
from bilateral_jax.training import loop, summary_writer
from configs import smoke
from experiments import replay, train
from experiments.runs import workdir as workdir_lib
from tests import toy_experiment

_TOY = {
    "experiment": "toy",
    "steps": 8,
    "batches.crop": 16,
    "batches.batch_size": 8,
    "data.train.size": 24,
    "data.heldout.size": 24,
    "run.log_every": 1,
    "run.evaluate_every": 100,
    "run.checkpoint_every": 1,
}


class _WithNaN:
    """A source with one photo of NaN."""

    def __init__(self, source):
        self._source = source

    def __len__(self):
        return len(self._source)

    def __getitem__(self, index):
        element = self._source[index]
        if index == 5:
            element = element | {"input": np.full((24, 24, 3), np.nan, np.float32)}
        return element


@pytest.fixture
def source_with_nan(monkeypatch):
    monkeypatch.setitem(sys.modules, "experiments.papers.toy", toy_experiment)
    make = registry.make
    monkeypatch.setattr(registry, "make", lambda **options: _WithNaN(make(**options)))


def _config(**changes):
    config = smoke.get_config()
    config.update_from_flattened_dict({**_TOY, **changes})
    return config


def test_a_nonfinite_step_is_recorded_and_replayed(source_with_nan, tmp_path, capsys):
    with pytest.raises(loop.NonFiniteError, match="loss is nan.* at step 1") as caught:
        train.train(_config(), tmp_path / "run", progress=False)
    assert "failure/step_0000001" in caught.value.__notes__[0]
    folder = tmp_path / "run" / "failure" / "step_0000001"
    step = replay.load(folder)
    assert step.about["records"][0] == step.batch["record"].tolist()
    assert 5 in step.batch["record"] and int(step.state.step) == 0
    np.testing.assert_array_equal(step.state.networks["network"].params["matrix"], np.eye(4, 3))
    assert replay.main([str(folder)]) == 0
    printed = capsys.readouterr().out
    assert (
        "input is not finite" in printed and "records [5]" in printed and "\nreproduced" in printed
    )
    assert not trees.steps(trees.run_folder(tmp_path / "run"))


def test_nonfinite_steps_can_be_skipped_and_are_counted(source_with_nan, tmp_path):
    outcome, _ = train.train(
        _config(**{"run.max_skipped": 8, "data.heldout.stop": 18}), tmp_path / "run", progress=False
    )
    skips = sum(line.get("skipped", 0) for line in summary_writer.read(tmp_path / "run", "train"))
    assert outcome.step == 8 and 1 <= skips < 8
    _, state, about = trees.restore(trees.run_folder(tmp_path / "run"))
    assert about["averages"]["skipped"] == skips
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state["groups"]))


def test_a_work_directory_has_one_run_at_a_time(tmp_path):
    with workdir_lib.claimed(tmp_path, {"a": 1}):
        with pytest.raises(ValueError, match="another run is in .*: process [0-9]+ on "):
            with workdir_lib.claimed(tmp_path, {"a": 1}):
                pass
    with workdir_lib.claimed(tmp_path, {"a": 1}):
        pass


def test_an_unusable_work_directory_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot use .*file/run as a workdir"):
        with workdir_lib.claimed(tmp_path / "file" / "run", {}):
            pass
    with pytest.raises(FileNotFoundError, match="was removed or moved"):
        workdir_lib.check_present(tmp_path / "gone")

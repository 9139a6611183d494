"""Runs begun by version 0.1, before a state had groups of networks, are resumed."""

import functools
import json
import shutil

import jax
import ml_collections
import numpy as np
import pytest

from bilateral_jax.checkpoints import trees
from bilateral_jax.training import parallel, summary_writer
from experiments import train
from tests import assets

_WRITTEN = assets.ROOT / "tests" / "checkpoints" / "written_by_0_1"
pytestmark = pytest.mark.usefixtures("compiled_quickly")


@pytest.mark.parametrize("name", ["hdrnet", "dped", "can", "nima"])
def test_a_run_of_version_0_1_resumes_to_the_same_metrics(name, tmp_path, monkeypatch):
    """Stopped after step 2 of 4: the metrics of steps 3 and 4 are those that 0.1 computed."""
    for function in ("update", "replicate"):  # it ran on one device
        one = functools.partial(getattr(parallel, function), devices=jax.local_devices()[:1])
        monkeypatch.setattr(parallel, function, one)
    shutil.copytree(_WRITTEN / name, tmp_path, dirs_exist_ok=True)
    expected = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in expected if line["step"] <= 2]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = ml_collections.ConfigDict(json.loads((tmp_path / "config.json").read_text()))
    outcome, _ = train.train(config, tmp_path, progress=False)
    assert outcome.step == 4 and trees.steps(trees.run_folder(tmp_path))[-1] == 4
    found = summary_writer.read(tmp_path, "train")
    for before, after in zip(expected, found, strict=True):
        assert before["step"] == after["step"]
        metrics = [key for key in before if "second" not in key and key != "kind"]
        np.testing.assert_allclose(
            [after[key] for key in metrics], [before[key] for key in metrics], rtol=2e-3, atol=1e-6
        )

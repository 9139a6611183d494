"""experiments/train.py from config to checkpoint: files, resuming after a kill, errors."""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from bilateral_jax import images, metrics, models
from bilateral_jax.checkpoints import networks, trees
from bilateral_jax.data import registry
from bilateral_jax.data.pipeline import batches
from bilateral_jax.models.model import Model
from bilateral_jax.training import summary_writer
from configs import smoke
from experiments import demo, experiment, train
from experiments.runs import workdir as workdir_lib
from tests import assets

# A killed process may leave a damaged entry in the compilation cache, which JAX warns about.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Error reading persistent compilation cache"),
    pytest.mark.usefixtures("compiled_once"),
]
_ROOT = assets.ROOT
_TINY = {
    "steps": 40,
    "model.net_input_size": 16,
    "model.spatial_bin": 4,
    "model.luma_bins": 2,
    "batches.crop": 24,
    "batches.batch_size": 8,
    "data.train.size": 32,
    "data.heldout.size": 32,
    "run.log_every": 4,
    "run.evaluate_every": 1000,
    "run.checkpoint_every": 4,
}


def _config(**changes):
    config = smoke.get_config()
    config.update_from_flattened_dict({**_TINY, **changes})
    return config


def _losses(workdir):
    lines = summary_writer.read(workdir, "train")
    return [(line["step"], line["loss"], line["psnr"], line["gradient_norm"]) for line in lines]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run") / "finished"
    outcome, results = train.train(_config(), workdir, progress=False)
    assert (outcome.step, outcome.signal) == (40, None)
    return workdir, results


def test_a_run_learns_and_writes_its_files(finished):
    workdir, results = finished
    assert results["step"] == 40 and results["psnr"] > results["input_psnr"] + 3
    assert results["delta_e"] < results["input_delta_e"]
    evaluations = summary_writer.read(workdir, "eval")
    assert [line["step"] for line in evaluations] == [0, 40]
    assert evaluations[0]["psnr"] < results["psnr"] - 3
    assert [step for step, *_ in _losses(workdir)] == list(range(4, 41, 4))
    sheets = workdir / "sheets"
    assert sorted(path.name for path in sheets.glob("*.png")) == [
        "step_0000000.png",
        "step_0000040.png",
    ]
    assert len(list((sheets / "step_0000040").glob("synthetic_00016_*.jpg"))) == 3
    environment = json.loads((workdir / "environment.json").read_text())
    assert environment["packages"]["jax"] == jax.__version__
    assert [start["step"] for start in environment["starts"]] == [0]
    assert evaluations[0]["seconds"] > 0
    for line in summary_writer.read(workdir, "train"):
        assert min(line["seconds_input"], line["seconds_step"]) > 0
    assert list((workdir / "tensorboard").glob("events*"))
    assert json.loads((workdir / "config.json").read_text())["steps"] == 40
    steps = [entry.name for entry in trees.run_folder(workdir).iterdir()]
    assert sorted(steps) == ["32", "36", "40"]


def test_checkpoint_holds_the_evaluated_network(finished):
    workdir, results = finished
    saved = networks.load(workdir)
    network = Model(
        saved.params, saved.batch_stats, models.create(saved.name, saved.hyperparameters)
    )
    enhance = functools.partial(jax.jit(Model.__call__), network)
    heldout = registry.make(**_config().data.heldout.to_dict())
    values = [
        metrics.psnr(*(metrics.round_to_8bit(x) for x in (enhance(each["input"]), each["target"])))
        for each in batches.evaluation_examples(heldout)
    ]
    np.testing.assert_allclose(np.mean(values), results["psnr"], atol=0.02)


def _killed(command, workdir, log, environment):
    """Kills a run after its first save; returns whether that was before its end."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=_ROOT, stdout=output, stderr=output, env=environment
        )
    try:
        deadline = time.monotonic() + 400
        while not trees.latest(trees.run_folder(workdir)):
            assert process.poll() in (None, 0) and time.monotonic() < deadline, log.read_text()
            time.sleep(0.002)
    finally:
        process.kill()
    code = process.wait(timeout=60)
    assert code in (0, -signal.SIGKILL), log.read_text()
    return code == -signal.SIGKILL and trees.latest(trees.run_folder(workdir)) < 40


def test_a_killed_run_resumes_to_the_same_bits(finished, compiled_once, tmp_path):
    workdir = tmp_path / "killed"
    command = [sys.executable, "-m", "experiments.train", f"--config={_ROOT}/configs/smoke.py"]
    command += [f"--workdir={workdir}"]
    command += [f"--config.{name}={value}" for name, value in _TINY.items()]
    environment = {**os.environ, **compiled_once}
    for attempt in range(5):  # on a busy machine the run may end before the kill
        if _killed(command, workdir, tmp_path / f"output{attempt}", environment):
            break
        shutil.rmtree(workdir)
    assert trees.latest(trees.run_folder(workdir)) < 40
    outcome, results = train.train(_config(), workdir, progress=False)
    assert outcome.step == 40
    assert _losses(workdir) == _losses(finished[0])  # the same photos in the same order
    there, here = (trees.restore(trees.run_folder(each))[1] for each in (finished[0], workdir))
    assert jax.tree.structure(there) == jax.tree.structure(here)
    jax.tree.map(np.testing.assert_array_equal, there["groups"], here["groups"])
    for name in set(results) - {"seconds"}:
        assert results[name] == finished[1][name]


def test_demo_writes_its_table_and_plots(finished):
    workdir, results = finished
    table = demo.run(_config(), workdir, progress=False)
    assert json.loads((workdir / "table.json").read_text()) == table
    assert list(table["photos"]) == ["synthetic_00016", "synthetic_00017", "synthetic_00018"]
    np.testing.assert_allclose(table["mean"]["hdrnet"], results["psnr"], atol=0.02)
    np.testing.assert_allclose(table["mean"]["input"], results["input_psnr"], atol=1e-4)
    # The synthetic retouch is one matrix, which both fits find up to the ridge penalty.
    assert min(table["mean"]["oracle_global"], table["mean"]["learned_global"]) > 50
    for name in ("heldout.png", "loss.png"):
        assert (workdir / name).stat().st_size > 10_000


def test_a_finished_run_is_not_changed(finished):
    workdir, results = finished
    before = _losses(workdir)
    outcome, again = train.train(_config(), workdir, progress=False)
    assert outcome.step == 40 and again == results and _losses(workdir) == before


def test_warm_start_from_the_weights_of_another_run(finished, tmp_path):
    config = _config(**{"start": str(finished[0]), "steps": 4, "optimizer.learning_rate": 0.0})
    outcome, results = train.train(config, tmp_path / "run", progress=False)
    assert outcome.step == 4
    for name in set(results) - {"seconds", "step"}:
        assert results[name] == finished[1][name]
    (fresh,) = [line for line in summary_writer.read(finished[0], "eval") if line["step"] == 0]
    assert fresh["psnr"] < results["psnr"] - 3
    other = _config(**{"start": str(finished[0]), "model.luma_bins": 4})
    with pytest.raises(ValueError, match=r"finished.*wrong shape: .*prediction"):
        train.train(other, tmp_path / "other", progress=False)
    other = _config(**{"start": str(finished[0]), "model.name": "HDRNetPointwiseNNGuide"})
    with pytest.raises(ValueError, match="expected those of HDRNetPointwiseNNGuide"):
        train.train(other, tmp_path / "other", progress=False)
    with pytest.raises(ValueError, match="--config.start: .*nowhere is not a folder"):
        train.train(_config(start=str(tmp_path / "nowhere")), tmp_path / "other", progress=False)


def test_another_config_in_the_same_folder_is_refused(finished):
    other = _config(**{"optimizer.learning_rate": 0.5})
    with pytest.raises(ValueError, match=r"optimizer.learning_rate: 0.01 there, 0.5 now"):
        train.train(other, finished[0], progress=False)


def test_an_unknown_experiment_is_named_with_those_that_exist():
    with pytest.raises(ValueError, match="one of .*dped, hdrnet, .* got 'bogus'"):
        experiment.build({"experiment": "bogus"})


@pytest.mark.parametrize(
    "section", [None, "model", "loss", "optimizer", "schedule", "batches", "run", "data"]
)
def test_an_unknown_key_fails_by_name(section, tmp_path):
    config = _config()
    with config.unlocked():
        (config[section] if section else config)["unknown_key"] = {"kind": "synthetic"}
    with pytest.raises((TypeError, ValueError), match="unknown_key"):
        train.train(config, tmp_path / "run", progress=False)


def test_part_of_a_source_and_unknown_sources():
    source = registry.make("synthetic", count=5, size=8, start=3)
    assert len(source) == 2 and source[1]["name"] == "synthetic_00004"
    with pytest.raises(IndexError):
        source[2]
    with pytest.raises(ValueError, match="unknown source 'cloud'"):
        registry.make("cloud")
    with pytest.raises(TypeError, match="colour"):
        registry.make("synthetic", count=5, colour=1)


@pytest.mark.parametrize(
    "section, words",
    [
        ({"kind": "folder"}, "source 'folder' needs the option 'root'"),
        ({"kind": "demo_inputs", "sides": 3}, "source 'demo_inputs' has no option 'sides'"),
        ({"kind": "photos", "root": "PHOTOS"}, "elements with input, target; .* has image"),
        ({"kind": "folder", "root": "nowhere"}, "nowhere"),
    ],
)
@pytest.mark.parametrize("name", ["train", "heldout"])
def test_a_wrong_source_names_its_section_of_the_config(name, section, words, tmp_path):
    if section.get("root") == "PHOTOS":
        images.write(tmp_path / "a.png", np.zeros((64, 64, 3), np.uint8))
        section = section | {"root": str(tmp_path)}
    config = _config()
    with config.unlocked():
        config.data[name] = section
    with pytest.raises((ValueError, TypeError), match=f"--config.data.{name}: .*{words}"):
        train.train(config, tmp_path / "run", progress=False)


def test_nothing_is_said_of_saved_steps_before_training_began(tmp_path):
    error = FileNotFoundError(2, "No such file or directory", "photos")
    assert workdir_lib.explain(error, tmp_path) == "No such file or directory: photos"
    (tmp_path / "environment.json").write_text("{}")
    assert workdir_lib.explain(error, tmp_path).endswith(
        "nothing was saved yet; the same command starts again"
    )

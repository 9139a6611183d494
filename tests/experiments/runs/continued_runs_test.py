"""Runs continued with another length or changed photos, and stopped while waiting for data.

Whole trainings of a colour matrix in this process: about 20 seconds.
"""

import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import jax
import numpy as np
import pytest

from bilateral_jax import images
from bilateral_jax.checkpoints import trees
from bilateral_jax.data import registry
from bilateral_jax.data.synthetic import procedural
from bilateral_jax.training import stop_requests, summary_writer
from configs import smoke
from experiments import train
from experiments.runs import option_names, resume
from tests import toy_experiment

pytestmark = pytest.mark.usefixtures("compiled_once")
_TOY = {
    "experiment": "toy",
    "steps": 6,
    "batches.crop": 8,
    "batches.batch_size": 8,
    "data.train.size": 16,
    "data.heldout.size": 16,
    "run.log_every": 3,
    "run.evaluate_every": 100,
    "run.checkpoint_every": 3,
    "run.sheet_photos": 0,
}


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(sys.modules, "experiments.papers.toy", toy_experiment)


def _config(train_source=None, **changes):
    config = smoke.get_config()
    config.update_from_flattened_dict({**_TOY, **changes})
    if train_source is not None:
        with config.unlocked():
            config.data.train = train_source
    return config


def _run(config, workdir):
    return train.train(config, workdir, progress=False)[0]


def _assert_same_state(one, other):
    step, there, about = trees.restore(trees.run_folder(one))
    again, here, besides = trees.restore(trees.run_folder(other))
    assert step == again and about["data"] == besides["data"]
    jax.tree.map(np.testing.assert_array_equal, there["groups"], here["groups"])


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run of ten steps without a break."""
    workdir = tmp_path_factory.mktemp("straight") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "experiments.papers.toy", toy_experiment)
        _run(_config(steps=10), workdir)
    return workdir


def test_a_finished_run_continues_to_the_bits_of_a_longer_one(straight, tmp_path, caplog):
    assert _run(_config(), tmp_path).step == 6
    longer = _config(**{"steps": 10, "run.log_every": 1, "run.checkpoint_every": 2})
    assert _run(longer, tmp_path).step == 10
    assert "goes on to step 10 (it was to end at 6)" in caplog.text
    _assert_same_state(straight, tmp_path)
    steps = [line["step"] for line in summary_writer.read(tmp_path, "train")]
    assert steps == [3, 6, 7, 8, 9, 10]
    with pytest.raises(ValueError, match=r"--config.steps=8 lies before step 10"):
        _run(_config(steps=8), tmp_path)
    with pytest.raises(ValueError, match="seed: 0 there, 1 now"):
        _run(_config(steps=10, seed=1), tmp_path)


def test_configs_of_earlier_versions_lack_entries_and_still_resume(tmp_path):
    earlier = _config()
    with earlier.unlocked():
        del earlier.batches["paired"], earlier.run["accept_changed_data"]
    _run(earlier, tmp_path)
    assert _run(_config(steps=7), tmp_path).step == 7


def test_a_run_that_never_took_a_step_takes_a_corrected_config(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"smaller than the crop .*--config.batches.crop=24"):
        _run(_config(**{"batches.crop": 24}), tmp_path)
    broken = _config(**{"batches.batch_size": 16, "batches.crop": 4, "seed": 5})
    with monkeypatch.context() as patch:
        patch.setattr(toy_experiment.step, "gradient_step", _fails)
        with pytest.raises(ValueError, match="does not fit the experiment: dot_general got shapes"):
            _run(broken, tmp_path)
    assert _run(_config(), tmp_path).step == 6


def _fails(*_, **__):
    raise TypeError("dot_general got shapes that do not fit")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"steps": 0}, "--config.steps must be an int of at least 1, got 0"),
        ({"run.evaluate_every": 0}, "--config.run.evaluate_every must be an int of at least 1"),
        ({"batches.batch_size": 12}, r"evenly over 8 devices.*\(--config.batches.batch_size=12,"),
        ({"batches.batch_size": 0}, r"at least 1, got 0 \(--config.batches.batch_size=0\)"),
        ({"batches.crop": 0}, "crop must be a positive int or two of them, got 0"),
    ],
)
def test_impossible_lengths_and_sizes_name_their_options(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        _run(_config(**changes), tmp_path)
    assert not trees.steps(trees.run_folder(tmp_path))


def test_messages_are_extended_by_the_options_that_they_name():
    config = {"batches": {"crop": 512, "size": 3}, "model": {"name": "A"}}
    error = ValueError("a photo of this name and size is smaller than the crop")
    option_names.add(error, config)
    assert str(error).endswith("than the crop (--config.batches.crop=512)")
    before = str(error)
    option_names.add(error, config)
    assert str(error) == before


def _write_pairs(root, count):
    for index, element in enumerate(
        procedural.SyntheticPairs(count, size=16)[i] for i in range(count)
    ):
        for side in ("input", "target"):
            (root / side).mkdir(parents=True, exist_ok=True)
            images.write(root / side / f"{index}.png", images.to_integer(element[side], 8))
    return {"kind": "folder", "root": str(root)}


def test_photos_that_changed_since_the_checkpoint_are_refused_unless_accepted(tmp_path, caplog):
    source = _write_pairs(tmp_path / "pairs", 4)
    workdir = tmp_path / "run"
    _run(_config(source), workdir)
    for side in ("input", "target"):
        (tmp_path / "pairs" / side / "2.png").unlink()
    refused = r"data.train has 3 records, .* of step 6 it had 4.*run.accept_changed_data=True"
    with pytest.raises(ValueError, match=refused):
        _run(_config(source, steps=9), workdir)
    accepted = _config(source, **{"steps": 9, "run.accept_changed_data": True})
    assert _run(accepted, workdir).step == 9 and "the run goes on with them" in caplog.text
    assert _run(_config(source, steps=10), workdir).step == 10  # they are the run's photos now
    for side in ("input", "target"):
        (tmp_path / "pairs" / side / "3.png").rename(tmp_path / "pairs" / side / "5.png")
    with pytest.raises(ValueError, match="has other records .*their names differ"):
        _run(_config(source, steps=11), workdir)


def test_advice_about_photos_is_given_as_it_is_typed(tmp_path):
    source = _write_pairs(tmp_path / "pairs", 2)
    (tmp_path / "pairs" / "input" / "1.png").unlink()
    typed = r"^--config.data.train: 1 of 2 .* --config.data.train.on_bad=skip would leave them out$"
    with pytest.raises(ValueError, match=typed):
        _run(_config(source), tmp_path / "run")
    (tmp_path / "pairs" / "input" / "1.png").symlink_to(__file__)
    with pytest.raises(ValueError, match="--config.data.train.follow_links=True accepts that"):
        _run(_config(source), tmp_path / "run")


def test_checkpoints_without_the_identity_of_their_sources_resume():
    now = {"train": {"records": 3}, "heldout": {"records": 1}}
    resume.check_sources(5, None, now, accept=False)
    with pytest.raises(
        ValueError, match="data.heldout has 1 records, at the checkpoint of step 5 it had 2"
    ):
        resume.check_sources(5, now | {"heldout": {"records": 2}}, now, accept=False)


@dataclasses.dataclass
class _Slow:
    """Synthetic pairs; from its n-th read on, a read takes a minute, or so does listing them."""

    reads: int

    def __post_init__(self):
        self._pairs = procedural.SyntheticPairs(128, size=16)
        if self.reads < 0:
            time.sleep(60)

    def __len__(self):
        return len(self._pairs)

    def __getitem__(self, index):
        self.reads -= 1
        if self.reads < 0:
            _BLOCKED.set()
            _GO_ON.wait(60)
        return self._pairs[index]


_BLOCKED, _GO_ON = threading.Event(), threading.Event()


@pytest.fixture
def slow(monkeypatch):
    """Registers the source; returns `(seconds) -> None`: SIGTERM once a read blocks, or then."""
    monkeypatch.setitem(registry.KINDS, "slow", _Slow)
    _BLOCKED.clear()
    _GO_ON.clear()

    def send(seconds):
        _BLOCKED.wait(seconds)
        time.sleep(0.2)  # so that the loop waits for the batch, too
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda *_: None)  # should the training be over by then
    yield lambda seconds: threading.Thread(target=send, args=(seconds,), daemon=True).start()
    _GO_ON.set()  # for the threads that are left
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("threads", [0, 2])
def test_a_signal_ends_the_waiting_for_data(straight, slow, tmp_path, threads):
    """About five batches are read, then one blocks; the resumed run equals an unbroken one."""
    slow(60)
    changes = {"steps": 10, "batches.threads": threads, "run.checkpoint_every": 100}
    began = time.monotonic()
    outcome = _run(_config({"kind": "slow", "reads": 44}, **changes), tmp_path / "run")
    assert outcome.signal == signal.SIGTERM and time.monotonic() - began < 40
    assert 0 < outcome.step == trees.latest(trees.run_folder(tmp_path / "run")) < 10
    _GO_ON.set()
    again = _config({"kind": "slow", "reads": 44}, **changes)
    assert _run(again, tmp_path / "run").step == 10
    pairs = {"kind": "synthetic", "count": 128, "size": 16}
    _run(_config(pairs, **changes), tmp_path / "whole")
    _assert_same_state(tmp_path / "whole", tmp_path / "run")


def test_a_process_ends_although_a_thread_hangs():
    file = pathlib.Path(stop_requests.__file__)
    program = f"""
import importlib.util, threading, time
spec = importlib.util.spec_from_file_location("stop_requests", {str(file)!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
threading.Thread(target=time.sleep, args=(60,)).start()
module.leave(143, seconds=0.2)
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=30).returncode == 143


def test_a_signal_ends_the_reading_of_the_first_batch_and_the_listing(slow, tmp_path):
    for reads in (3, -1):
        _BLOCKED.clear()
        slow(2)
        began = time.monotonic()
        outcome = _run(_config({"kind": "slow", "reads": reads}), tmp_path)
        assert (outcome.step, outcome.signal) == (0, signal.SIGTERM)
        assert time.monotonic() - began < 30

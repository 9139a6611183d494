"""Worker processes: the same batches in the same order, and no worker outlives its trainer."""

import contextlib
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from bilateral_jax.data.pipeline import batches, loader
from bilateral_jax.data.synthetic import procedural
from tests import assets

pytest.importorskip("grain", reason="Grain is not installed")

ROOT = assets.ROOT


def make(**options):
    source = procedural.SyntheticPairs(5, size=(40, 48), seed=1)
    changes = {"flips": True, "rotations": True, "exposure": 0.5, "lowres_from": "photo"}
    options = {"batch_size": 2, "crop": 24, "seed": 3, "lowres_size": 16, **changes, **options}
    return batches.train_batches(source, **options)


def test_workers_give_the_same_batches_and_positions():
    alone, helped = make(threads=0), make(workers=2)
    for _ in range(5):
        assert_equal(next(alone), next(helped))
    # A forked child of a process that has started JAX hangs in its first computation.
    kinds = {type(process).__name__ for process in multiprocessing.active_children()}
    assert kinds and all("Spawn" in kind for kind in kinds), kinds
    state = helped.get_state()
    helped.close()
    resumed = make(workers=1, threads=0)
    resumed.set_state(state)
    for _ in range(3):
        assert_equal(next(alone), next(resumed))
    resumed.close()


def test_a_batch_can_be_looked_at_before_it_is_taken():
    stream, other = make(threads=0), make(threads=0)
    for step in range(3):
        seen = stream.peek()
        assert_equal(stream.peek(), seen)
        assert stream.get_state() == {"examples": 2 * step}
        assert_equal(next(stream), seen)
        assert_equal(next(other), seen)


def test_a_wait_that_is_cut_short_leaves_the_position(monkeypatch):
    stream, other = make(threads=0), make(threads=0)
    assert_equal(next(stream), next(other))
    with monkeypatch.context() as patch:
        patch.setattr(stream, "waiting", cut_short, raising=False)
        with pytest.raises(InterruptedError):
            next(stream)
    assert stream.get_state() == {"examples": 2}
    stream.waiting = contextlib.nullcontext
    assert_equal(next(stream), next(other))


@contextlib.contextmanager
def cut_short():
    yield
    raise InterruptedError  # after the batch was read, the worst moment


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], other[key], err_msg=key)


TRAINER = """
import multiprocessing, sys, time
from bilateral_jax.data.pipeline import batches
from bilateral_jax.data.synthetic import procedural
if __name__ == "__main__":
    source = procedural.SyntheticPairs(4, size=32, seed=1)
    stream = batches.train_batches(source, batch_size=2, crop=16, seed=0, workers=1, threads=0)
    next(stream)
    print(multiprocessing.active_children()[0].pid, flush=True)
    sys.stdin.readline()
    for _ in range(40):  # more than what was prefetched
        batch = next(stream)
    print("finished", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def trainer(tmp_path):
    """A training program with a worker process, in its own process group, and the worker's id."""
    script = tmp_path / "trainer.py"
    script.write_text(TRAINER)
    process = subprocess.Popen(
        [sys.executable, script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
    )
    with process:
        yield process, int(process.stdout.readline())
        process.kill()


def alive(number):
    """Whether a process runs and is not a zombie."""
    try:
        status = pathlib.Path(f"/proc/{number}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.skipif(not pathlib.Path("/proc/self/stat").exists(), reason="asks /proc who runs")
def test_a_worker_ends_with_its_trainer_and_not_before(trainer):
    process, worker = trainer
    # The signals that Ctrl-C and a scheduler send to the group; the trainer would save now.
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(worker, number)
    process.stdin.write("go on\n")
    process.stdin.flush()
    assert process.stdout.readline() == "finished\n" and alive(worker)
    process.kill()
    deadline = time.monotonic() + 20  # less than the grace after SIGTERM
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(worker)


@pytest.mark.parametrize("name", ["threads", "workers", "prefetch"])
def test_negative_options_are_named(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 0, got -1"):
        loader.Options(**{name: -1})

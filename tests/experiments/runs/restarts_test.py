"""Runs that are killed, preempted, starved of disk: whole trainings in processes of their own."""

import json
import pathlib
import select
import signal
import statistics
import subprocess
import sys

import jax
import numpy as np
import pytest

from bilateral_jax.checkpoints import trees
from bilateral_jax.training import summary_writer
from tests import assets, ports

_ROOT = assets.ROOT
_SECONDS = 400  # a busy machine is slow, not wrong
_TOY = {
    "experiment": "toy",
    "steps": 100,
    "batches.crop": 16,
    "batches.batch_size": 4,
    "data.train.size": 24,
    "data.heldout.size": 24,
    "run.log_every": 3,
    "run.evaluate_every": 10,
    "run.sheet_photos": 1,
    "run.checkpoint_every": 5,
}


class _ForkServer:
    """Sends trainings to `tests/fork_server.py` and reads the answers."""

    def __init__(self, process):
        self._process = process

    def run(self, config, workdir, **options):
        request = {"config": config, "workdir": str(workdir), **options}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        ready = select.select([self._process.stdout], [], [], _SECONDS)[0]
        assert ready, _log(workdir)
        answer = self._process.stdout.readline()
        assert answer, _log(workdir)
        return json.loads(answer)


@pytest.fixture(scope="module")
def fork_server(tmp_path_factory):
    environment = {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # compiling takes longer than running here
        "PYTHONPATH": str(_ROOT),
        "PATH": "/usr/bin:/bin",
    }
    with subprocess.Popen(
        [sys.executable, _ROOT / "tests" / "fork_server.py"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT, env=environment,
    ) as process:  # fmt: skip
        yield _ForkServer(process)
        process.stdin.close()


@pytest.fixture(scope="module")
def uninterrupted(fork_server, tmp_path_factory):
    """The work directory of a run without a kill, and its marks."""
    workdir = tmp_path_factory.mktemp("uninterrupted") / "run"
    answer = fork_server.run(_TOY, workdir)
    assert answer["codes"] == [0], _log(workdir)
    return workdir, answer["marks"]


def _log(workdir):
    return pathlib.Path(f"{workdir}.log").read_text()


def _lines(workdir):
    """The records of a run without the times."""
    return [
        {k: v for k, v in line.items() if "second" not in k}
        for line in summary_writer.read(workdir)
    ]


def _assert_same_run(one, other):
    step, there, about = trees.restore(trees.run_folder(one))
    again, here, besides = trees.restore(trees.run_folder(other))
    assert step == again and about == besides  # the position in the data, averages not yet written
    assert jax.tree.structure(there) == jax.tree.structure(here)
    for leaf, same in zip(jax.tree.leaves(there), jax.tree.leaves(here), strict=True):
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf, same = jax.random.key_data(leaf), jax.random.key_data(same)
        np.testing.assert_array_equal(np.asarray(leaf), np.asarray(same))
    assert _lines(one) == _lines(other)


def _durations(marks):
    """Seconds until the first mark, and of a typical step, save and evaluation."""
    lasting = {"step": [], "save": [], "evaluate": []}
    for (_, name, begin), (_, _, end) in zip(marks, marks[1:]):
        lasting.get(name, []).append(end - begin)
    return {"start": marks[0][2]} | {k: statistics.median(v) for k, v in lasting.items()}


def _kill(mark, lasts, rng):
    """A random moment in the start-up, in or after a step, in a save, in an evaluation."""
    longest = {None: 0.7 * lasts["start"], "step": 2 * lasts["step"]}.get(mark)
    longest = longest or 1.2 * lasts[mark]
    nth = int(rng.integers(1, {"step": 25, "save": 5, "evaluate": 3}.get(mark, 2)))
    delay = float(rng.uniform(0, longest))
    return {"signal": signal.SIGKILL, "mark": mark, "nth": nth, "delay": delay}


def test_a_run_of_several_networks_is_killed_and_resumed_to_the_same_bits(fork_server, tmp_path):
    """Two groups, generators every fifth step, orthonormal projections, a pool in `extra`."""
    config = _TOY | {"experiment": "adversarial", "steps": 24, "batches.crop": 8}
    assert fork_server.run(config, tmp_path / "whole")["codes"] == [0], _log(tmp_path / "whole")
    killed = tmp_path / "killed"
    for nth in (8, 9):
        kill = {"signal": signal.SIGKILL, "mark": "step", "nth": nth, "delay": None}
        assert fork_server.run(config, killed, kill=kill)["codes"] == [-signal.SIGKILL], _log(
            killed
        )
    assert fork_server.run(config, killed)["codes"] == [0], _log(killed)
    _assert_same_run(tmp_path / "whole", killed)
    lines = [line for line in _lines(killed) if line["kind"] == "train"]
    assert [line["step"] for line in lines if "cycle" in line] == [6, 12, 15, 21]


def test_a_run_killed_twenty_times_equals_the_uninterrupted_run(
    fork_server, uninterrupted, tmp_path
):
    workdir, times = uninterrupted
    lasts, rng = _durations(times), np.random.default_rng(5)
    marks = [None] * 4 + ["step"] * 6 + ["save"] * 7 + ["evaluate"] * 3
    rng.shuffle(marks)
    workdirs, died = [tmp_path / "killed0"], []
    while len(died) < 20 or not {"save", "step"} <= set(died):
        assert (
            len(died) < 60
        )  # more than 20 where the machine's speed has changed since `uninterrupted`
        kill = _kill(marks[len(died) % 20], lasts, rng)
        answer = fork_server.run(_TOY, workdirs[-1], kill=kill)
        if answer["codes"] == [-signal.SIGKILL]:
            died.append(answer["marks"][-1][1] if answer["marks"] else "start")
        else:  # it came to its end first: kill another one
            assert answer["codes"] == [0], _log(workdirs[-1])
            workdirs.append(tmp_path / f"killed{len(workdirs)}")
    print(f"{len(workdirs)} runs, killed in: { ({k: died.count(k) for k in sorted(set(died))}) }")
    assert fork_server.run(_TOY, workdirs[-1])["codes"] == [0], _log(workdirs[-1])
    for killed in workdirs:
        _assert_same_run(workdir, killed)
        left = {path.name for path in trees.run_folder(killed).iterdir()}
        assert left == {"90", "95", "100"}


@pytest.mark.parametrize(
    "number, mark, nth",
    [
        (signal.SIGTERM, "step", 93),
        (signal.SIGINT, "save", 12),
        (signal.SIGTERM, "evaluate", 4),
        (signal.SIGTERM, "evaluate", 11),  # after the last step
        (signal.SIGTERM, "evaluate", 1),  # before the first
    ],
)
def test_a_signal_saves_the_step_and_has_its_exit_code(
    fork_server, uninterrupted, tmp_path, number, mark, nth
):
    workdir = tmp_path / "run"
    kill = {"signal": number, "mark": mark, "nth": nth, "delay": None}
    answer = fork_server.run(_TOY, workdir, kill=kill)
    assert answer["codes"] == [128 + number], _log(workdir)
    begun = [name for _, name, _ in answer["marks"]].count("step")
    assert (trees.latest(trees.run_folder(workdir)) or 0) == begun
    assert f"at step {begun}; the same command resumes" in _log(workdir)
    assert fork_server.run(_TOY, workdir)["codes"] == [0], _log(workdir)
    _assert_same_run(uninterrupted[0], workdir)


def test_a_signal_to_one_of_two_processes_stops_both_after_one_step(fork_server, tmp_path):
    workdir = tmp_path / "run"
    config = {**_TOY, "steps": 400, "run.checkpoint_every": 1000, "run.evaluate_every": 1000}
    kill = {"signal": signal.SIGTERM, "process": 1, "mark": "step", "nth": 7, "delay": None}
    answer = fork_server.run(
        config, workdir, devices=2, processes=2, port=ports.reserve(), kill=kill
    )
    assert answer["codes"] == [128 + signal.SIGTERM] * 2, _log(workdir)
    begun = [
        [name for process, name, _ in answer["marks"] if process == k].count("step")
        for k in range(2)
    ]
    saved = trees.steps(trees.run_folder(workdir))
    assert saved == [begun[0]] == [begun[1]] and 7 <= saved[0] < 400
    # One process with four devices resumes what two with two each have saved, then two again.
    config["steps"] = 400
    kill |= {"process": 0, "nth": 3}
    alone = fork_server.run(config, workdir, devices=4, kill=kill)
    assert alone["codes"] == [143], _log(workdir)
    kill["process"] = 1
    last = fork_server.run(config, workdir, devices=2, processes=2, port=ports.reserve(), kill=kill)
    assert last["codes"] == [143, 143], _log(workdir)
    steps = trees.steps(trees.run_folder(workdir))
    assert len(steps) == 3 and f"resuming at step {steps[1]}" in _log(workdir)


def test_a_write_that_fails_while_saving_loses_no_checkpoint(fork_server, uninterrupted, tmp_path):
    """A limit on the size of a file fails a write as a full disk does, in the middle of it."""
    workdir = tmp_path / "run"
    limit = {"file_limit": 1024, "mark": "save", "nth": 4, "delay": None}
    assert fork_server.run(_TOY, workdir, kill=limit)["codes"] == [1], _log(workdir)
    folder = trees.run_folder(workdir)
    assert trees.steps(folder) == [5, 10, 15]
    # No thread of orbax or tensorstore writes an error of its own later.
    assert "ERROR:" not in _log(workdir) and "Traceback" not in _log(workdir)
    last = _log(workdir).splitlines()[-1]
    assert "error: step 20 could not be saved" in last and "steps 5, 10, 15 are untouched" in last
    assert fork_server.run(_TOY, workdir)["codes"] == [0], _log(workdir)
    _assert_same_run(uninterrupted[0], workdir)


@pytest.mark.parametrize("mark, nth, step", [("save", 4, 15), ("evaluate", 2, 10)])
def test_a_full_disk_is_named_and_loses_no_checkpoint(
    fork_server, uninterrupted, tmp_path, small_disk, mark, nth, step
):
    workdir = small_disk / "run"
    fill = {"fill": str(small_disk / "ballast"), "mark": mark, "nth": nth, "delay": None}
    log = tmp_path / "log"
    assert fork_server.run(_TOY, workdir, kill=fill, log=str(log))["codes"] == [1]
    last = log.read_text().splitlines()[-1]
    assert "error: " in last and "the disk is full" in last and "Traceback" not in log.read_text()
    assert trees.restore(trees.run_folder(workdir))[0] == step
    (small_disk / "ballast").unlink()
    assert fork_server.run(_TOY, workdir, log=str(log))["codes"] == [0], log.read_text()
    assert not list(workdir.rglob("*tmp*"))  # a late writer's leftovers go at the next start
    _assert_same_run(uninterrupted[0], workdir)


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not permitted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)

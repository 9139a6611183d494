"""Sweeps on Ray with a stub training that crashes, hangs or diverges on request."""

import contextlib
import csv
import fcntl
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import ml_collections
import pytest

from configs.sweeps import combine
from experiments import sweep
from experiments.sweeps import ray_runner, results
from experiments.sweeps import trials as trials_lib
from tests import assets

_ROOT = assets.ROOT
_TIMEOUT = 400  # seconds, for a busy machine
# A training of `steps` steps whose checkpoint is a number in a file; SIGTERM stops it as it stops
# train.py. A slow one sleeps at each step until the file `hurry` exists.
_STUB = """
import json, os, pathlib, signal, sys, time
config, folder = json.loads(pathlib.Path(sys.argv[1]).read_text()), pathlib.Path(sys.argv[2])
saved = folder / "saved"
first = int(saved.read_text()) if saved.exists() else 0
with open(folder / "starts", "a") as starts:
    starts.write(f"{first} {os.environ['NPROC']} {os.environ['JAX_PLATFORMS']}\\n")
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
for step in range(first + 1, config["steps"] + 1):
    if config["behaviour"] == "slow" and not pathlib.Path(config["hurry"]).exists():
        print("step", step, flush=True)
        time.sleep(0.1)
    written = folder / "saved.new"  # replaced whole: a kill amid writing leaves the last one
    written.write_text(str(step))
    written.replace(saved)
    if config["behaviour"] == "diverges" and step == 3:
        print("loss is nan at step 3", file=sys.stderr)
        sys.exit(3)
    if config["behaviour"] == "crashes" and step == 4 and first == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    if config["behaviour"] == "breaks" and step == 2 + first:
        sys.exit("no memory for this array")
    line = {"kind": "eval", "step": step, "psnr": step * config["gain"], "seconds": 0.1}
    with open(folder / "metrics.jsonl", "a") as lines:
        lines.write(json.dumps(line) + "\\n")
    if stop:
        sys.exit(143)
"""
_MAIN = """
import json, sys
from experiments import sweep
from tests.experiments import sweep_test as this

if __name__ == "__main__":
    trials = json.loads(sys.argv[3])
    plan = this.described(*trials, steps=int(sys.argv[4]), retries=1)
    command = this.command(sys.argv[2])
    rows, number = sweep.run(plan, sys.argv[1], command=command, parallel=3)
    sys.exit(128 + number if number else 0)
"""


def described(*trials, steps=8, **options):
    base = ml_collections.ConfigDict(
        {"steps": steps, "behaviour": "normal", "gain": 1.0, "hurry": ""}
    )
    return combine.sweep(base, list(trials), **options)


def command(stub):
    return lambda config, folder: [sys.executable, str(stub), str(config), str(folder)]


@pytest.fixture(scope="module")
def stub(tmp_path_factory):
    path = tmp_path_factory.mktemp("stub") / "stub.py"
    path.write_text(_STUB)
    return path


@contextlib.contextmanager
def _sweep(workdir, stub, *trials, steps=8):
    """Runs a sweep in its own process; its output goes to a file beside its folder."""
    words = [sys.executable, "-c", _MAIN, str(workdir), str(stub), json.dumps(trials), str(steps)]
    # Ray would end processes when memory is short, also if others use it.
    environment = os.environ | {"RAY_memory_monitor_refresh_ms": "0"}
    with open(f"{workdir}.output", "a") as output:
        process = subprocess.Popen(words, cwd=_ROOT, stdout=output, stderr=output, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _swept(workdir, stub, *trials, **options):
    """Runs a sweep to its end; returns its exit code."""
    with _sweep(workdir, stub, *trials, **options) as process:
        return process.wait(timeout=_TIMEOUT)


def _printed(workdir):
    return pathlib.Path(f"{workdir}.output").read_text()


def _starts(workdir, name):
    """Steps from which the processes of a trial started."""
    lines = (workdir / "trials" / name / "starts").read_text().splitlines()
    return [int(line.split()[0]) for line in lines]


def _until(condition, process, workdir):
    deadline = time.monotonic() + _TIMEOUT
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, _printed(workdir)
        time.sleep(0.05)


@pytest.fixture(scope="module")
def swept(stub, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("swept") / "sweep"
    behaviours = ["normal", "crashes", "diverges", "breaks"]
    trials = [{"behaviour": behaviour} for behaviour in behaviours] + [
        {"behaviour": "normal", "gain": 2.0}
    ]
    assert _swept(workdir, stub, *trials) == 0, _printed(workdir)
    return workdir, trials, results.read(workdir)["trials"]


def test_status_and_retries_of_each_trial(swept):
    workdir, _, rows = swept
    found = {row["trial"]: (row["status"], row["tries"], row["step"]) for row in rows}
    assert found == {
        "behaviour=normal,gain=2.0": ("done", 1, 8),
        "behaviour=normal": ("done", 1, 8),
        "behaviour=crashes": ("done", 2, 8),
        "behaviour=diverges": ("diverged", 1, 2),
        "behaviour=breaks": ("failed", 2, 3),
    }
    assert _starts(workdir, "behaviour=crashes") == [0, 4]  # from its checkpoint
    assert _starts(workdir, "behaviour=breaks") == [0, 2]
    assert "behaviour=crashes: killed by SIGKILL; restarting" in _printed(workdir)


def test_the_table_is_sorted_by_the_metric(swept):
    workdir, _, rows = swept
    assert [row["metrics"]["psnr"] for row in rows] == [16.0, 8.0, 8.0, 2.0, 3.0]
    reasons = {row["trial"]: row["reason"] for row in rows if row["reason"]}
    assert reasons == {
        "behaviour=diverges": "exit code 3: loss is nan at step 3",
        "behaviour=breaks": "exit code 1: no memory for this array",
    }
    with (workdir / "results.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["trial"] for line in lines] == [row["trial"] for row in rows]
    assert lines[0]["gain"] == "2.0" and lines[0]["psnr"] == "16.0"
    assert lines[1]["gain"] == "1.0"  # not overridden: from the base
    assert all(float(line["seconds"]) > 0 for line in lines)
    table = [line.split() for line in _printed(workdir).splitlines()]
    head = table.index(["psnr", "behaviour", "gain", "status", "tries", "seconds", "step"])
    assert [line[0] for line in table[head + 1 : head + 6]] == [
        "16.00", "8.0000", "8.0000", "2.0000", "3.0000",
    ]  # fmt: skip


def test_parallel_trials_divide_the_processors(swept):
    workdir, *_ = swept
    most = max(1, os.cpu_count() // 3)  # a container may have fewer
    for name in ("behaviour=normal", "behaviour=breaks"):
        for line in (workdir / "trials" / name / "starts").read_text().splitlines():
            _, threads, platform = line.split()
            assert 1 <= int(threads) <= most and platform == "cpu"


def test_rerunning_a_sweep_runs_only_failed_trials(swept, stub):
    workdir, trials, before = swept
    assert _swept(workdir, stub, *trials) == 0, _printed(workdir)
    rows = results.read(workdir)["trials"]
    for row in rows:
        count = len(_starts(workdir, row["trial"]))
        assert count == row["tries"]
        same = next(each for each in before if each["trial"] == row["trial"])
        if (
            row["trial"] == "behaviour=breaks"
        ):  # once more from step 4, and done before the next 2 + 4
            assert (row["status"], row["tries"], row["step"]) == ("failed", 4, 7)
        else:
            assert row == same


def test_stopped_and_killed_sweeps_resume(stub, tmp_path):
    workdir, hurry, steps = tmp_path / "sweep", tmp_path / "hurry", 2000
    trials = [{"behaviour": "slow", "gain": gain, "hurry": str(hurry)} for gain in (1.0, 2.0)]
    names = [trial.name for trial in trials_lib.expand(described({}).base, trials)]
    folders = [workdir / "trials" / name for name in names]

    def saved():
        paths = [folder / "saved" for folder in folders]
        return [int(path.read_text() or 0) if path.exists() else 0 for path in paths]

    def started(times):
        paths = [folder / "starts" for folder in folders]
        return all(path.exists() and path.read_text().count("\n") == times for path in paths)

    with _sweep(workdir, stub, *trials, steps=steps) as process:
        _until(lambda: min(saved()) >= 2, process, workdir)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=_TIMEOUT) == 128 + signal.SIGINT, _printed(workdir)
    assert "2 trials left; the same command resumes them" in _printed(workdir)
    rows = {row["trial"]: row for row in results.read(workdir)["trials"]}  # sorted by the metric
    assert {row["status"] for row in rows.values()} == {"stopped"}
    stopped = saved()
    assert max(stopped) < steps and [rows[name]["step"] for name in names] == stopped

    with _sweep(workdir, stub, *trials, steps=steps) as process:
        _until(lambda: min(saved()) >= max(stopped) + 2, process, workdir)
        process.kill()
        process.wait(timeout=_TIMEOUT)

    with _sweep(workdir, stub, *trials, steps=steps) as process:
        _until(lambda: started(3), process, workdir)  # those of the killed sweep have ended
        hurry.touch()
        assert process.wait(timeout=_TIMEOUT) == 0, _printed(workdir)
    rows = results.read(workdir)["trials"]
    assert [(row["status"], row["step"]) for row in rows] == [("done", steps)] * 2
    for name, step in zip(names, stopped):
        starts = _starts(workdir, name)
        assert len(starts) == 3 and starts[1] == step < starts[2] < steps


def test_resources_of_a_trial():
    allocate = ray_runner.allocate
    desk = [{"CPU": 8.0}]
    assert allocate(desk) == (1, {"cpus": 8.0, "gpus": 0.0, "tpus": 0.0})
    assert allocate(desk, parallel=4) == (4, {"cpus": 2.0, "gpus": 0.0, "tpus": 0.0})
    assert allocate([{"CPU": 2.0}], parallel=3)[1]["cpus"] == pytest.approx(2 / 3)
    gpus = [{"CPU": 16.0, "GPU": 4.0}, {"CPU": 16.0, "GPU": 2.0}, {"CPU": 64.0}]
    assert allocate(gpus) == (6, {"cpus": 4.0, "gpus": 1.0, "tpus": 0.0})
    assert allocate(gpus, gpus=0.5, cpus=1)[0] == 12
    assert allocate(gpus, parallel=2)[0] == 2
    pod = [{"CPU": 96.0, "TPU": 4.0}] * 2
    assert allocate(pod) == (2, {"cpus": 96.0, "gpus": 0.0, "tpus": 4.0})
    assert allocate(pod, tpus=1) == (8, {"cpus": 24.0, "gpus": 0.0, "tpus": 1.0})
    for request in ({"gpus": 1}, {"tpus": 4}, {"cpus": 9}):
        with pytest.raises(ValueError, match="no node has that"):
            allocate(desk, **request)
    assert ray_runner.environment_variables({"cpus": 0.5, "gpus": 0.5, "tpus": 0.0}) == {
        "NPROC": "1",
        "OPENCV_FOR_THREADS_NUM": "1",
        "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.450",
    }


def test_a_hung_process_is_ended(tmp_path):
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('on'); time.sleep(600)"
    job = {
        "name": "hung",
        "command": [sys.executable, "-uc", code],
        "log": str(tmp_path / "log"),
        "lock": str(tmp_path / "lock"),
        "stop": str(tmp_path / "stop"),
        "environment": {},
        "patience": 2.0,
        "grace": 0.5,
    }
    assert ray_runner.run_process(**job) == (None, "no output for 2 s")
    with open(tmp_path / "lock", "ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(RuntimeError, match="hung: another process still runs in its folder"):
            ray_runner.run_process(**job)


def test_stop_file_ends_a_process_and_prevents_new_ones(tmp_path):
    stop = tmp_path / "stop"
    ended = f"import pathlib, time; pathlib.Path({str(stop)!r}).touch(); time.sleep(600)"
    job = {"name": "asked", "environment": {}, "patience": 0, "grace": 60.0, "stop": str(stop)}
    job |= {"log": str(tmp_path / "log"), "lock": str(tmp_path / "lock")}
    code, reason = ray_runner.run_process(command=[sys.executable, "-c", ended], **job)
    assert (code, reason) == (-signal.SIGTERM, "killed by SIGTERM")
    log = (tmp_path / "log").read_bytes()
    assert ray_runner.run_process(command=["echo", "on"], **job) == (
        None,
        "stopped before it began",
    )
    assert (tmp_path / "log").read_bytes() == log


def test_locked_folder_and_invalid_sweeps_are_refused(tmp_path):
    plan = described({"gain": 2.0})
    with open(tmp_path / "lock", "ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(ValueError, match="another sweep runs in"):
            sweep.run(plan, tmp_path)
    with pytest.raises(ValueError, match="best: expected 'max' or 'min', got 'biggest'"):
        sweep.run(described({"gain": 2.0}, best="biggest"), tmp_path)
    for name, value in {"retries": -1, "patience": -1.0, "grace": float("nan")}.items():
        with pytest.raises(ValueError, match=f"{name} must be finite and at least 0, got {value}"):
            sweep.run(described({"gain": 2.0}, **{name: value}), tmp_path)
    with pytest.raises(ValueError, match="--sweep: the config has no base, trials, metric"):
        sweep.run(ml_collections.ConfigDict({"steps": 4}), tmp_path)
    with pytest.raises(ValueError, match="override gaim"):
        sweep.run(described({"gain": 2.0}, {"gaim": 2.0}), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_example_of_the_docs_runs(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", (_ROOT / "docs/sweeps.md").read_text(), re.S)
    path = tmp_path / "guide.py"
    path.write_text(code)
    words = [sys.executable, "-m", "experiments.sweep", f"--sweep={path}", "--dry-run"]
    done = subprocess.run(
        [*words, f"--workdir={tmp_path / 'none'}"], cwd=_ROOT, capture_output=True, text=True,
        timeout=300, check=True,
    )  # fmt: skip
    names = done.stdout.split()
    assert len(names) == 12 and not (tmp_path / "none").exists()
    assert names[1] == (
        "model.luma_bins=4,batches.batch_size=4,optimizer.learning_rate=0.003,seed=1"
    )

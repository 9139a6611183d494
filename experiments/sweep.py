"""Trains many variants of a config: `python -m experiments.sweep --sweep=FILE --workdir=SWEEP`.

Each trial is `python -m experiments.train` in its own process and folder, so a crash affects no
other trial, and a restarted trial resumes from its checkpoint. The same command resumes a sweep
that was stopped or killed.
"""

import collections
import contextlib
import functools
import inspect
import math
import pathlib
import signal
import sys
import time

from absl import flags
from ml_collections import config_flags

from bilateral_jax.training import stop_requests
from experiments.runs import command_line, config_differences, file_lock
from experiments.sweeps import plot, ray_runner, results
from experiments.sweeps import trials as trials_lib

DIVERGED = 3  # exit code of experiments/train.py for a non-finite value
_FINAL = ("done", "diverged")
_ROOT = pathlib.Path(__file__).resolve().parent.parent


def train_command(config, workdir):
    """Command of a trial: a training with a stored config."""
    stored = f"--config={_ROOT}/configs/stored.py:{config}"
    return [sys.executable, "-m", "experiments.train", stored, f"--workdir={workdir}"]


def run(sweep, workdir, *, address=None, command=train_command, progress=True, **resources):
    """Runs the trials of a sweep, or resumes them.

    Args:
      sweep: a ConfigDict as `configs/sweeps/combine.py` makes it.
      workdir: folder of the sweep, shared by all machines; created if absent.
      address: address of a Ray cluster; None for this machine alone.
      command: `(config file, folder) -> list of words`, the command of a trial.
      progress: show a progress bar, and the table at the end.
      **resources: `parallel`, `cpus`, `gpus`, `tpus` as in `ray_runner.allocate`.

    Returns:
      `(rows, signal)`: a dict per trial, best first, as in `results.json`; and the number of the
      signal that stopped the sweep, or None.

    Raises:
      ValueError: an override is unknown or of another type, the folder holds a trial with another
        config or another sweep runs in it, or no machine has the resources of a trial.
      TypeError: an unknown key in the sweep.
    """
    workdir = pathlib.Path(workdir).absolute()
    plan, limits, ranking = _settings(sweep)
    limits["stop"] = str(workdir / "stop")
    with _locked(workdir):
        trials_lib.store(plan, workdir / "trials")
        rows = _rows(plan, workdir)
        save = functools.partial(_save, workdir, rows, ranking)
        save()
        job = functools.partial(_job, workdir, command, limits)
        number = None
        pathlib.Path(limits["stop"]).unlink(missing_ok=True)  # of an earlier sweep
        if any(row["status"] not in _FINAL for row in rows):
            number = _schedule(rows, job, limits, save, progress, address, resources)
        best_first = results.ranked(rows, **ranking)
        plot.draw(workdir, best_first, **ranking)
    if progress:
        _report(best_first, workdir, number, **ranking)
    return best_first, number


def _settings(sweep):
    """The trials, the limits and the ranking of a sweep's config, checked."""
    names = inspect.getfullargspec(_checked).kwonlyargs
    if missing := [name for name in names if name not in sweep]:
        raise ValueError(
            f"--sweep: the config has no {', '.join(missing)}; expected one that "
            "configs/sweeps/combine.py makes"
        )
    return _checked(**{name: sweep[name] for name in sweep})


def _checked(*, base, trials, metric, best, retries, patience, grace):
    if best not in ("max", "min"):
        raise ValueError(f"best: expected 'max' or 'min', got {best!r}")
    for name, value in {"retries": retries, "patience": patience, "grace": grace}.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must be finite and at least 0, got {value}")
    ranking = {"metric": metric, "best": best}
    limits = {"retries": retries, "patience": patience, "grace": grace}
    return trials_lib.expand(base, trials), limits, ranking


@contextlib.contextmanager
def _locked(workdir):
    """Locks the folder against a second sweep for the duration of the context."""
    workdir.mkdir(parents=True, exist_ok=True)
    with open(workdir / "lock", "ab") as held:
        try:
            file_lock.acquire(held)
        except BlockingIOError:
            raise ValueError(f"workdir: another sweep runs in {workdir}") from None
        yield


def _rows(plan, workdir):
    """One row per trial; trials that an earlier run of the sweep finished stay finished."""
    earlier = results.read(workdir) or {"trials": []}
    earlier = {row["trial"]: row for row in earlier["trials"]}
    varied = dict.fromkeys(name for trial in plan for name in trial.overrides)
    rows = []
    for trial in plan:
        step, metrics = results.measure(workdir / "trials" / trial.name)
        row = earlier.get(trial.name) if step else None
        row = row or {"status": "waiting", "tries": 0, "seconds": 0.0, "reason": ""}
        if row["status"] not in _FINAL:
            row = {**row, "status": "waiting"}
        values = config_differences.flat(
            trial.config
        )  # values of the base where a trial has no override
        facts = {"overrides": {name: values[name] for name in varied}, "metrics": metrics}
        count = {"step": step, "steps": trial.config.get("steps", 0)}
        rows.append({"trial": trial.name, **row, **facts, **count})
    return rows


def _save(workdir, rows, ranking):
    """Updates rows from the files of their trials and writes the table."""
    for row in rows:
        if row["status"] == "running" or not row["metrics"]:
            row["step"], row["metrics"] = results.measure(workdir / "trials" / row["trial"])
    results.write(workdir, results.ranked(rows, **ranking), ranking)


def _job(workdir, command, limits, row, resources):
    folder = workdir / "trials" / row["trial"]
    return {
        "name": row["trial"],
        "command": command(folder / trials_lib.CONFIG, folder),
        "log": str(folder / "output.log"),
        "lock": str(folder / "lock"),
        "stop": limits["stop"],
        "environment": ray_runner.environment_variables(resources),
        "patience": limits["patience"],
        "grace": limits["grace"],
    }


def _schedule(rows, job, limits, save, progress, address, requested):
    """Runs trials in parallel as resources allow; returns the signal that stopped it, or None."""
    queue = collections.deque(row for row in rows if row["status"] not in _FINAL)
    left, running = {row["trial"]: limits["retries"] for row in queue}, {}
    with ray_runner.connect(address) as nodes, stop_requests.listen() as stop:
        parallel, resources = ray_runner.allocate(nodes, **requested)
        with _bar(rows, parallel, resources, progress) as bar:
            while (queue or running) and stop.number is None:
                while queue and len(running) < parallel:
                    row = queue.popleft()
                    row.update(status="running", tries=row["tries"] + 1, reason="")
                    handle = ray_runner.submit(job(row, resources), resources)
                    running[handle] = (row, time.monotonic())
                for handle in ray_runner.wait(list(running), 1.0):
                    row = _ended(handle, running, save)
                    if row["status"] == "failed" and left[row["trial"]]:
                        left[row["trial"]] -= 1
                        bar.write(f"{row['trial']}: {row['reason']}; restarting")
                        row["status"] = "waiting"
                        queue.appendleft(row)
                save()
                _show(bar, rows)
            if running:
                bar.write(f"stopping: {len(running)} trials are saving")
                ray_runner.stop_all(list(running), limits["stop"], limits["grace"])
            for handle in list(running):
                row = _ended(handle, running, save)
                if row["status"] not in _FINAL:
                    row.update(status="stopped", reason="")
            save()
    return stop.number


def _ended(handle, running, save):
    row, began = running.pop(handle)
    save()  # before the status changes: reads its last metrics
    code, reason = ray_runner.result(handle)
    row["seconds"] = round(row["seconds"] + time.monotonic() - began, 1)
    row["status"] = {0: "done", DIVERGED: "diverged"}.get(code, "failed")
    row["reason"] = reason
    return row


@contextlib.contextmanager
def _bar(rows, parallel, resources, progress):
    import tqdm

    if progress:
        each = ", ".join(f"{value:g} {name}" for name, value in resources.items() if value)
        waiting = sum(row["status"] not in (*_FINAL, "failed") for row in rows)
        print(f"{waiting} of {len(rows)} trials to run, {parallel} at a time, each with {each}")
    with tqdm.tqdm(
        total=sum(row["steps"] for row in rows) or None,
        initial=sum(row["step"] for row in rows),
        disable=not progress,
        bar_format="{desc} {percentage:3.0f}%|{bar:16}| [{elapsed}<{remaining}]{postfix}",
        mininterval=0.2 if sys.stderr.isatty() else 15.0,
        dynamic_ncols=True,
        smoothing=0.0,
    ) as bar:
        yield bar


def _show(bar, rows):
    count = collections.Counter(row["status"] for row in rows)
    ended = sum(count[status] for status in (*_FINAL, "failed"))
    names = results.short(results.columns(rows)[0])
    running = [
        ",".join(f"{names[name]}={value}" for name, value in row["overrides"].items())
        + f" at {row['step']}"
        for row in rows
        if row["status"] == "running"
    ]
    bar.set_description_str(f"{ended}/{len(rows)} ended", refresh=False)
    bar.set_postfix_str("; ".join(running), refresh=False)
    bar.update(sum(row["step"] for row in rows) - bar.n)


def _report(rows, workdir, number, metric, best):
    del best
    print(results.table(rows, metric))
    for overrides, count, mean, deviation in results.over_seeds(rows, metric):
        name = ", ".join(f"{name}={value}" for name, value in overrides.items()) or "all"
        print(f"{name}: {metric} {mean:.4g} +- {deviation:.2g} over {count} seeds")
    known = results.columns(rows)[1]
    if known and metric not in known:
        print(f"no trial reports {metric!r}, so the table is not sorted; known: {', '.join(known)}")
    print(f"table and plot: {workdir}/results.csv, results.json, results.svg, results.png")
    if number is not None:
        left = sum(row["status"] not in _FINAL for row in rows)
        name = signal.Signals(number).name
        print(f"stopped by {name}: {left} trials left; the same command resumes them")


def main():
    """Runs the sweep; exit code 1 if a trial failed for good, 128 + signal if stopped."""
    if _DRY.value:
        for trial in _settings(_SWEEP.value)[0]:
            print(trial.name)
        return 0
    names = ("parallel", "cpus", "gpus", "tpus")
    resources = {name: flags.FLAGS[name].value for name in names}
    rows, number = run(_SWEEP.value, _WORKDIR.value, address=_ADDRESS.value, **resources)
    if number is not None:
        return 128 + number
    return int(any(row["status"] == "failed" for row in rows))


if __name__ == "__main__":
    _SWEEP = config_flags.DEFINE_config_file("sweep", help_string="Sweep to run.")
    _WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the sweep; created if absent.")
    _ADDRESS = flags.DEFINE_string("address", None, "Ray cluster, as 'auto' or HOST:PORT.")
    _DRY = flags.DEFINE_bool("dry-run", False, "List the trials and start nothing.")
    flags.DEFINE_integer("parallel", None, "Trials at a time.", lower_bound=1)
    flags.DEFINE_float("cpus", None, "Processors per trial.", lower_bound=0.01)
    flags.DEFINE_float("gpus", None, "GPUs per trial, also a fraction.", lower_bound=0)
    flags.DEFINE_float("tpus", None, "TPU chips per trial.", lower_bound=0)
    command_line.run(main, config="sweep", required=("sweep", "workdir"))

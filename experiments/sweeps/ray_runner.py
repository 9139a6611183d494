"""Runs commands in parallel on one machine or a cluster, scheduled by Ray.

One Ray task is one process that runs to its end. The state of a sweep lies in files, not in Ray, so
all machines of a cluster must share its folders.
"""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

from experiments.runs import file_lock

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_POLL = 0.2
# The process ends with its Ray worker (on Linux) and does not inherit blocked signals.
_LAUNCHER = """
import ctypes, os, signal, sys
signal.pthread_sigmask(signal.SIG_SETMASK, [])
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() != int(sys.argv[1]):
        sys.exit(128 + signal.SIGTERM)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@contextlib.contextmanager
def connect(address=None):
    """Starts Ray on this machine, or connects to a cluster, for the duration of the context.

    Args:
      address: None for this machine alone, or what `ray.init` takes: "auto", "HOST:PORT".

    Yields:
      List of the resources of each node, `{"CPU": 8.0, "GPU": 1.0, ...}`.
    """
    # Ray reads these when it is imported, and so do the processes that it starts.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no usage reports
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    options = {"address": address}
    if not address:
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray's default; set, it prints no notice
        options = {
            "address": "local",
            "include_dashboard": False,
            "object_store_memory": 100 << 20,  # it holds only commands and exit codes
        }
    import ray

    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    ray.init(
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(paths)}},
        log_to_driver=False,
        logging_level="ERROR",
        **options,
    )
    try:
        yield [node["Resources"] for node in ray.nodes() if node["Alive"]]
    finally:
        ray.shutdown()


def allocate(nodes, *, parallel=None, cpus=None, gpus=None, tpus=None):
    """Computes the resources of a trial and the number of trials that run at a time.

    Args:
      nodes: resources of each node, from `connect`.
      parallel: trials at a time; None: the number of GPUs, or of hosts if there are none.
      cpus: processors per trial; None: those of a node divided evenly among its trials.
      gpus: GPUs per trial, also a fraction; None: 1 if there are any.
      tpus: TPU chips per trial; None: all of a host if there are any.

    Returns:
      `(parallel, {"cpus", "gpus", "tpus"})`.

    Raises:
      ValueError: no node has the resources of one trial.
    """
    if gpus is None:
        gpus = 1.0 if not tpus and any(node.get("GPU") for node in nodes) else 0.0
    if tpus is None:
        tpus = 0.0 if gpus else max(node.get("TPU", 0.0) for node in nodes)
    fitting = [n for n in nodes if n.get("GPU", 0) >= gpus and n.get("TPU", 0) >= tpus]
    slots = [_slots(node, gpus, tpus, parallel, len(fitting)) for node in fitting]
    if cpus is None:
        cpus = min((n.get("CPU", 0.0) / s for n, s in zip(fitting, slots)), default=1.0)
    counts = [min(s, int(n.get("CPU", 0.0) / cpus + 1e-6)) for n, s in zip(fitting, slots)]
    if not sum(counts):
        raise ValueError(
            f"a trial asks for cpus={cpus:g}, gpus={gpus:g}, tpus={tpus:g}; no node has that: "
            f"{[{key: node.get(key, 0.0) for key in ('CPU', 'GPU', 'TPU')} for node in nodes]}"
        )
    parallel = min(parallel or sum(counts), sum(counts))
    return parallel, {"cpus": float(cpus), "gpus": float(gpus), "tpus": float(tpus)}


def _slots(node, gpus, tpus, parallel, nodes):
    if gpus:
        return int(node["GPU"] / gpus)
    if tpus:
        return int(node["TPU"] / tpus)
    return -(-parallel // nodes) if parallel else 1


def environment_variables(resources):
    """Environment variables that limit a trial to its resources.

    Ray itself makes only the trial's GPUs and TPU chips visible and limits OpenMP's threads.

    Args:
      resources: from `allocate`.

    Returns:
      `{variable: value}`.
    """
    threads = str(max(1, int(resources["cpus"])))
    variables = {"NPROC": threads, "OPENCV_FOR_THREADS_NUM": threads}  # NPROC: XLA's thread pool
    if not resources["gpus"] and not resources["tpus"]:
        variables["JAX_PLATFORMS"] = "cpu"
    if 0 < resources["gpus"] < 1:
        variables["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.9 * resources['gpus']:.3f}"
    return variables


def submit(job, resources):
    """Queues one process.

    Args:
      job: keyword arguments of `run_process`.
      resources: from `allocate`.

    Returns:
      A handle for `wait`, `result` and `stop_all`.
    """
    import ray

    accelerators = {"TPU": resources["tpus"]} if resources["tpus"] else {}
    task = ray.remote(run_process).options(
        num_cpus=resources["cpus"],
        num_gpus=resources["gpus"],
        resources=accelerators,
        max_retries=0,  # the sweep retries
        name=job["name"],
    )
    return task.remote(**job)


def wait(handles, seconds):
    """Waits for a process to end, at most `seconds`; returns the handles of those that have."""
    import ray

    return (
        ray.wait(handles, num_returns=len(handles), timeout=0)[0]
        or (ray.wait(handles, num_returns=1, timeout=seconds)[0])
    )


def result(handle):
    """Exit code of a process.

    Args:
      handle: one that `wait` returned.

    Returns:
      `(exit code, reason)`; the exit code is None if Ray lost the process or it was killed.
    """
    import ray

    try:
        return ray.get(handle)
    except ray.exceptions.RayError as error:
        return None, str(error).strip().splitlines()[-1]


def stop_all(handles, stop_file, grace):
    """Requests processes to save and end; returns when they have, or were killed after `grace` s.

    Args:
      handles: of running or queued processes.
      stop_file: the file that their jobs poll. Ray's own cancellation, an exception raised in the
        task, can get lost on a busy machine; it follows for hosts that do not see the file.
      grace: seconds between the request and the kill.
    """
    import ray

    pathlib.Path(stop_file).touch()
    _, left = ray.wait(handles, num_returns=len(handles), timeout=grace + 30)
    for handle in left:
        ray.cancel(handle, force=False)
    if left:
        ray.wait(left, num_returns=len(left), timeout=grace + 30)


def run_process(*, name, command, log, lock, stop, environment, patience, grace):
    """Runs one command to its end; called in a Ray worker.

    Args:
      name: name of the trial, for messages.
      command: list of words.
      log: file to which its output is appended.
      lock: file locked while the process lives, so that a folder has one process.
      stop: path of the stop file: once it exists, the process is ended or not started.
      environment: variables added to those of the worker.
      patience: seconds without output after which the process is ended as hung; 0: never.
      grace: seconds between SIGTERM and SIGKILL.

    Returns:
      `(exit code, reason)`, as `result`.
    """
    with _locked(lock, name, grace) as held, open(log, "ab") as output:
        if os.path.exists(stop):
            return None, "stopped before it began"
        process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER, str(os.getpid()), *command],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
            pass_fds=[held.fileno()],
        )
        started = time.time()
        try:
            while process.poll() is None and not os.path.exists(stop):
                time.sleep(_POLL)
                silent = time.time() - max(os.path.getmtime(log), started)
                if patience and silent > patience:
                    _terminate(process, grace)
                    return None, f"no output for {patience:g} s"
        finally:  # also when Ray cancels this task
            _terminate(process, grace)
    return process.returncode, _reason(process.returncode, log)


def _reason(code, log):
    """Cause of a failure in one line: the signal, or the last line of the output."""
    if code == 0:
        return ""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    with open(log, "rb") as output:
        output.seek(max(0, os.path.getsize(log) - 4096))
        lines = re.split(r"[\r\n]+", output.read().decode(errors="replace").strip())
    return f"exit code {code}: {lines[-1].strip()[:300]}"


def _terminate(process, grace):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _locked(path, name, seconds):
    """Locks a file; waits at most `seconds` for a process of an earlier sweep to save and end."""
    with open(path, "ab") as held:
        try:
            file_lock.acquire(held, timeout=seconds)
        except BlockingIOError:
            raise RuntimeError(f"{name}: another process still runs in its folder") from None
        yield held

"""Runs commands side by side on one machine or many; Ray decides where and when.

Ray holds no state of the sweep: one task is one process that runs to its end. Everything that has
to survive lies in files, so every machine of a cluster must see the same folders.

Receives commands and resources from experiments/sweep.py.
Hands exit codes back.
"""

import contextlib
import fcntl
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_POLL = 0.2
# The process ends with the worker that started it (on Linux) and does not inherit blocked signals.
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
def connected(address=None):
    """Starts an engine on this machine, or joins a cluster, for as long as the context lasts.

    Args:
      address: None for this machine alone, or what `ray.init` takes: "auto", "HOST:PORT".

    Yields:
      A list with the resources of every node, `{"CPU": 8.0, "GPU": 1.0, ...}`.
    """
    # Ray reads these when it is imported, and so do the processes that it starts.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    options = {"address": address}
    if not address:
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray's default; unsaid, it is announced
        options = {
            "address": "local",
            "include_dashboard": False,
            "object_store_memory": 100 << 20,  # only commands and exit codes go through it
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


def share(nodes, *, parallel=None, cpus=None, gpus=None, tpus=None):
    """Decides what one trial gets and how many run at a time.

    Args:
      nodes: resources of every node, from `connect`.
      parallel: trials at a time; None takes as many as there are GPUs, else hosts.
      cpus: processors per trial; None shares a node's evenly among its trials.
      gpus: GPUs per trial, also a fraction; None takes 1 where there are any.
      tpus: TPU chips per trial; None takes all of a host where there are any.

    Returns:
      `(parallel, {"cpus", "gpus", "tpus"})`.

    Raises:
      ValueError: no node has what one trial asks for.
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


def limits(resources):
    """Environment variables that keep one trial from taking what belongs to its neighbours.

    Ray itself shows a process only its own GPUs and TPU chips, and limits OpenMP's threads.

    Args:
      resources: from `share`.

    Returns:
      A dict.
    """
    threads = str(max(1, int(resources["cpus"])))
    variables = {"NPROC": threads, "OPENCV_FOR_THREADS_NUM": threads}  # XLA's pool reads NPROC
    if not resources["gpus"] and not resources["tpus"]:
        variables["JAX_PLATFORMS"] = "cpu"
    if 0 < resources["gpus"] < 1:
        variables["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.9 * resources['gpus']:.3f}"
    return variables


def submit(job, resources):
    """Queues one process.

    Args:
      job: dict of the keywords of `run_process`.
      resources: from `share`.

    Returns:
      A handle for `wait`, `outcome` and `end`.
    """
    import ray

    accelerators = {"TPU": resources["tpus"]} if resources["tpus"] else {}
    task = ray.remote(run_process).options(
        num_cpus=resources["cpus"],
        num_gpus=resources["gpus"],
        resources=accelerators,
        max_retries=0,  # a retry is the sweep's decision
        name=job["name"],
    )
    return task.remote(**job)


def wait(handles, seconds):
    """Returns those of the handles whose process has ended, at the latest after some seconds."""
    import ray

    return (
        ray.wait(handles, num_returns=len(handles), timeout=0)[0]
        or (ray.wait(handles, num_returns=1, timeout=seconds)[0])
    )


def outcome(handle):
    """Tells how a process ended.

    Args:
      handle: one that `wait` returned.

    Returns:
      `(exit code, reason)`: exit code None and a reason if the engine lost the process, or if
      it had to be killed.
    """
    import ray

    try:
        return ray.get(handle)
    except ray.exceptions.RayError as error:
        return None, str(error).strip().splitlines()[-1]


def end(handles, stop, grace):
    """Asks processes to save and end; returns when they have, or were killed after `grace` s.

    Args:
      handles: of processes that may still run, or wait for room.
      stop: the file that their jobs look for. Ray's own way, an exception raised within the task,
        can get lost on a busy machine; it is kept for a machine that does not see the file.
      grace: seconds between asking and killing.
    """
    import ray

    pathlib.Path(stop).touch()
    _, left = ray.wait(handles, num_returns=len(handles), timeout=grace + 30)
    for handle in left:
        ray.cancel(handle, force=False)
    if left:
        ray.wait(left, num_returns=len(left), timeout=grace + 30)


def run_process(*, name, command, log, lock, stop, environment, patience, grace):
    """Runs one command to its end; called in a worker of the engine.

    Args:
      name: of the trial, for messages.
      command: list of words.
      log: file to which its output is added; a sign of life.
      lock: file locked as long as the process lives, against two of them in one folder.
      stop: file whose appearance ends the process, or keeps it from starting.
      environment: variables added to the worker's own.
      patience: seconds without output after which it is killed; 0 waits forever.
      grace: seconds between asking it to end and killing it.

    Returns:
      `(exit code, reason)`, as `outcome`.
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
                    _end(process, grace)
                    return None, f"no output for {patience:g} s"
        finally:  # also when the engine cancels this task
            _end(process, grace)
    return process.returncode, _reason(process.returncode, log)


def _reason(code, log):
    """What went wrong in one line: the signal, or the last words of the output."""
    if code == 0:
        return ""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    with open(log, "rb") as output:
        output.seek(max(0, os.path.getsize(log) - 4096))
        words = re.split(r"[\r\n]+", output.read().decode(errors="replace").strip())
    return f"exit code {code}: {words[-1].strip()[:300]}"


def _end(process, grace):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _locked(path, name, seconds):
    """Waits for a process of an earlier sweep that is still saving."""
    deadline = time.monotonic() + seconds
    with open(path, "ab") as held:
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RuntimeError(
                        f"{name}: another process still runs in its folder"
                    ) from None
                time.sleep(_POLL)
        yield held

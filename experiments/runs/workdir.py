"""Work directory of a run: lock, `config.json` and `environment.json`.

The lock is a kernel lock (`flock`), released when its process ends in any way, so it is never
stale. With several processes, process 0 alone locks and writes, and the others receive its result.
"""

import contextlib
import datetime
import errno
import importlib.metadata
import logging
import os
import pathlib
import platform
import shutil
import socket
import subprocess

import jax

from bilateral_jax import atomic
from bilateral_jax.checkpoints import trees
from bilateral_jax.cli import errors
from bilateral_jax.training import distributed, summary_writer
from experiments.runs import config_differences, config_ranges, file_lock

_LOG = logging.getLogger(__name__)
_LOCK = "run.lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "tensorboardX")


@contextlib.contextmanager
def claimed(workdir, config):
    """Locks a work directory for the duration of the context; all processes call it together.

    Args:
      workdir: folder of the run; created if absent.
      config: JSON-able dict; written into a new folder, compared with that of an existing run. An
        existing run may go on with another length, other intervals and other ways of reading. One
        that never took a step takes any config.

    Raises:
      ValueError: a number of the config is out of its range, another run is in the folder, it holds
        a run of another config, it is past its new length, or it is not writable.
    """
    config_ranges.check(config)
    workdir = pathlib.Path(workdir)
    with contextlib.ExitStack() as stack:

        def claim():
            try:
                workdir.mkdir(parents=True, exist_ok=True)
                stack.enter_context(_lock(workdir))
                _check_config(workdir, config)
            except OSError as error:
                raise ValueError(f"cannot use {workdir} as a workdir: {error}") from error

        by_first(claim)
        yield


def by_first(function):
    """Runs a function in process 0 and broadcasts its result, or its error, to all processes.

    Args:
      function: `() -> JSON-able`.

    Returns:
      The function's result.

    Raises:
      OSError: raised by the function; in process 0 only.
      ValueError: raised by the function; in the other processes it carries the message of either.
    """
    local, caught = {}, None
    if distributed.is_first():
        try:
            local = {"result": function()}
        except (OSError, ValueError) as error:
            local, caught = {"error": str(error)}, error
    first = distributed.gather_values(local)[0]
    if caught is not None:
        raise caught
    if "error" in first:
        raise ValueError(f"process 0 reports: {first['error']}")
    return first["result"]


def check_present(workdir):
    """Raises FileNotFoundError if the folder was removed or moved during the run."""
    if not (pathlib.Path(workdir) / "config.json").exists():
        raise FileNotFoundError(f"{workdir} was removed or moved during its run")


def explain(error, workdir):
    """Formats an error in one line; after a failure of the disk in training, with what was saved.

    Args:
      error: the exception.
      workdir: folder of the run.
    """
    text = errors.sentence(error)
    if not isinstance(error, OSError) or isinstance(error, trees.NotSavedError):
        return text
    if error.errno == errno.ENOSPC:
        text = f"the disk is full: {error.filename or workdir}"
    newest = trees.latest(trees.run_folder(workdir))
    if newest is not None:
        return f"{text}; saved up to step {newest}; the same command resumes from there"
    begun = (pathlib.Path(workdir) / "environment.json").exists()
    return f"{text}; nothing was saved yet; the same command starts again" if begun else text


def note_environment(workdir, *, step):
    """Writes `environment.json`: versions, devices and commit of this start; step and time of all.

    Args:
      workdir: folder of the run.
      step: the step from which this start continues.
    """
    path = pathlib.Path(workdir) / "environment.json"
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    starts = recorded_starts(atomic.read_json(path) if path.exists() else {}) or []
    device = jax.local_devices()[0]
    environment = {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu_count": os.cpu_count(),
        "devices": {
            "platform": device.platform,
            "kind": device.device_kind,
            "count": jax.device_count(),
            "processes": jax.process_count(),
        },
        "commit": _commit(),
        "starts": [*starts, {"step": step, "time": now}],
    }
    atomic.write_json(path, environment)


def recorded_starts(environment):
    """The starts of a run by its `environment.json`, `[{"step", "time"}, ...]`; None without any.

    Args:
      environment: what the file holds.
    """
    starts = environment.get("starts")
    is_list = isinstance(starts, list) and all(isinstance(each, dict) for each in starts)
    return starts if is_list else None


@contextlib.contextmanager
def _lock(workdir):
    """Locks the folder against a second run; the lock file names the process that holds it."""
    path = workdir / _LOCK
    with path.open("a+", encoding="utf-8") as file:
        try:
            file_lock.acquire(file)
        except BlockingIOError:
            file.seek(0)
            raise ValueError(
                f"another run is in {workdir}: {file.read().strip() or 'just started'}; "
                "wait until it ends, stop it, or choose another workdir"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _LOG.warning(
                "%s does not support locks: make sure that one run at a time uses it", workdir
            )
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _check_config(workdir, config):
    path = workdir / "config.json"
    before = atomic.read_json(path) if path.exists() else None
    if before is not None and _has_begun(workdir):
        if differing := config_differences.differences(before, config, continuing=True):
            raise ValueError(
                f"{workdir} holds a run of another config ({differing}); "
                "choose another workdir, or give the same config to resume that run"
            )
        newest = trees.latest(trees.run_folder(workdir)) or 0
        if said := config_differences.length_change(before, config, newest):
            _LOG.warning("%s", said)
    elif before is not None and config_differences.differences(before, config):
        # An earlier start failed before its first step, perhaps by its config.
        (workdir / "metrics.jsonl").unlink(missing_ok=True)
        shutil.rmtree(workdir / "tensorboard", ignore_errors=True)
    if before != config:
        atomic.write_json(path, config)


def _has_begun(workdir):
    """Whether a run took a step: it left a checkpoint, a line about one, or a failure."""
    return (
        bool(trees.steps(trees.run_folder(workdir)))
        or (workdir / "failure").exists()
        or bool(summary_writer.read(workdir, "train"))
    )


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit():
    """Commit of the code, with a + if files differ from it; None outside of git."""
    here = pathlib.Path(__file__).parent
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None

"""A run's folder: one run at a time, one config, and what it was made with.

The lock is the kernel's (`flock`): it goes with the process, however that ends, so none is ever
stale. With several processes the first one alone locks and writes; the others hear what it found.

Receives a folder and a config from experiments/train.py.
Hands it the folder, locked, with `config.json` and `environment.json` in it.
"""

import contextlib
import datetime
import errno
import fcntl
import importlib.metadata
import logging
import os
import pathlib
import platform
import socket
import subprocess

import jax

from bilateral_jax.checkpoints import trees
from bilateral_jax.training import distributed
from bilateral_jax import atomic
from experiments.runs import config_differences

_LOG = logging.getLogger(__name__)
_LOCK = "run.lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "tensorboardX")


@contextlib.contextmanager
def claimed(workdir, config):
    """Holds a run's folder for as long as the context lasts; all processes enter it together.

    Args:
      workdir: folder of the run; created if absent.
      config: JSON-able dict; written into a new folder, compared in an old one.

    Raises:
      ValueError: another run is in the folder, or it holds a run of another config, or nothing can
        be written there.
    """
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
    """Runs a function in the first process; its result, or its error, comes to all.

    Args:
      function: `() -> JSON-able`.

    Returns:
      The function's result.

    Raises:
      ValueError: what the function raised: on the first process as it was, on the others by its
        message.
    """
    mine, caught = {}, None
    if distributed.is_first():
        try:
            mine = {"result": function()}
        except (OSError, ValueError) as error:
            mine, caught = {"error": str(error)}, error
    first = distributed.gather_values(mine)[0]
    if caught is not None:
        raise caught
    if "error" in first:
        raise ValueError(f"process 0 reports: {first['error']}")
    return first["result"]


def check_present(workdir):
    """Raises FileNotFoundError if the folder was removed or moved while its run went on."""
    if not (pathlib.Path(workdir) / "config.json").exists():
        raise FileNotFoundError(f"{workdir} was removed or moved while its run went on")


def explain(error, workdir):
    """Says in one line what went wrong, and where a run stands if its disk or folder failed.

    Args:
      error: what was raised.
      workdir: folder of the run.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, OSError) or isinstance(error, trees.NotSavedError):
        return text
    if error.errno == errno.ENOSPC:
        text = f"the disk is full, the one with {error.filename or workdir}"
    newest = trees.latest(trees.run_folder(workdir))
    kept = "nothing was saved yet" if newest is None else f"saved up to step {newest}"
    return f"{text}; {kept}; the same command goes on from there"


def note_environment(workdir, *, step):
    """Writes `environment.json`: versions, devices and code of this start, steps and times of all.

    Args:
      workdir: folder of the run.
      step: the step from which this start goes on.
    """
    path = pathlib.Path(workdir) / "environment.json"
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    starts = atomic.read_json(path)["starts"] if path.exists() else []
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


@contextlib.contextmanager
def _lock(workdir):
    """Locks the folder against a second run; the file says who holds it."""
    path = workdir / _LOCK
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ValueError(
                f"another run is in {workdir}: {file.read().strip() or 'just started'}; "
                "wait for its end, stop it, or choose another workdir"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _LOG.warning("%s knows no locks: make sure that one run at a time uses it", workdir)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _check_config(workdir, config):
    path = workdir / "config.json"
    # Without it the first try ended before its training began, perhaps at a mistake in the config.
    begun = (workdir / "environment.json").exists()
    if not path.exists() or not begun:
        atomic.write_json(path, config)
        return
    if differing := config_differences.differences(atomic.read_json(path), config):
        raise ValueError(
            f"{workdir} holds a run of another config ({differing}); "
            "choose another workdir, or give the same config to go on with that run"
        )


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit():
    """Gives the commit of the code, with a + if files differ from it; None outside of git."""
    here = pathlib.Path(__file__).parent
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None

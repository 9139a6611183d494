"""Pytrees on disk: written whole or not at all, verified when read, the configuration inside.

One step is one orbax directory `DIRECTORY/STEP` with the leaves as host NumPy arrays (so that it
can be read on any number of devices) and a JSON record: the caller's metadata and, for every leaf,
shape, dtype and a digest of its bytes. Orbax itself loads a flipped bit without a word; here a
leaf that does not match its digest makes the step a damaged one.
Trees are known by the names on their paths only: no class is stored, none is needed for reading.

Receives states from experiments and networks from checkpoints/networks.py.
Hands NumPy pytrees back to them.
"""

import contextlib
import errno
import json
import logging
import pathlib
import shutil
import threading
import time

import jax
import numpy as np

from bilateral_jax import tree_paths
from bilateral_jax.checkpoints import integrity

_LOG = logging.getLogger(__name__)
_RUN_FOLDER = "checkpoints"
_UNFINISHED = ".orbax-checkpoint-tmp"
_SETTLING_SECONDS = 10.0  # a failed save's writers end within one


class DamagedCheckpointError(ValueError):
    """A checkpoint cannot be trusted; the message names the step, the path and the reason."""


class NotSavedError(OSError):
    """A step could not be written; the message names it, the reason, and what is still there."""


def save(directory, step, state, *, metadata=None, max_to_keep=3):
    """Writes one step; a reader sees it whole or not at all.

    Args:
      directory: folder that holds the steps; created if absent.
      step: number of the step, larger than every step already there.
      state: any pytree of arrays; random keys are stored as their data. Empty containers are not
        stored.
      metadata: JSON-able dict kept beside the leaves.
      max_to_keep: older steps beyond this number are deleted after the new one is complete; None
        keeps all.

    Raises:
      ValueError: the step is not newer than those present, `state` is a single array, or
        `metadata` is not JSON-able.
      NotSavedError: it could not be written, for example on a full disk; nothing of it stays, and
        the steps before it are as they were.
    """
    import orbax.checkpoint as ocp

    directory = pathlib.Path(directory).absolute()
    present = steps(directory)
    if present and step <= present[-1]:
        raise ValueError(f"step {step} is not newer than step {present[-1]} in {directory}")
    arrays, leaves = {}, {}
    for path, leaf in tree_paths.flatten(state).items():
        kind = tree_paths.key_implementation(leaf)
        array = np.asarray(jax.device_get(jax.random.key_data(leaf) if kind else leaf))
        leaves["/".join(path)] = {
            "path": path,
            "shape": array.shape,
            "dtype": str(array.dtype),
            "key": kind,
            "digest": integrity.of(array.tobytes()),
        }
        if array.size:  # orbax refuses arrays without elements; the record alone rebuilds them
            tree_paths.insert(arrays, path, array)
    record = integrity.sealed({"format": 1, "leaves": leaves, "metadata": metadata or {}})
    options = ocp.CheckpointManagerOptions(
        max_to_keep=max_to_keep,
        enable_async_checkpointing=False,
        create=False,
        multiprocessing_options=_alone(),
    )
    args = ocp.args.Composite(state=ocp.args.StandardSave(arrays), meta=ocp.args.JsonSave(record))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with (
            _quiet(),
            _settled(directory),
            ocp.CheckpointManager(directory, options=options) as manager,
        ):
            saved = manager.save(step, args=args)
        integrity.note_files(directory / str(step), "state")
    except Exception as error:  # a full disk is an OSError, or one of three others from tensorstore
        raise NotSavedError(_reason(directory, step, error)) from error
    if not saved:
        raise RuntimeError(f"orbax declined to write step {step} in {directory}")


def restore(directory, step=None, target=None, *, set_aside_damaged=False):
    """Reads one step and verifies every leaf.

    Args:
      directory: folder given to `save`.
      step: which step; None takes the newest good one: a damaged step is named in a warning and
        the one before it used.
      target: pytree of arrays or `jax.ShapeDtypeStruct` to be filled, leaf by leaf by name; None
        gives nested dicts.
      set_aside_damaged: rename damaged steps passed over to `STEP.damaged`, so that a run may
        write that number again.

    Returns:
      `(step, state, metadata)`: state with NumPy leaves (random keys rebuilt), metadata as given
      to `save`.

    Raises:
      FileNotFoundError: there is no checkpoint, or not the step asked for.
      DamagedCheckpointError: the step asked for, or every step, is damaged.
      ValueError: the checkpoint does not fit `target`; the message lists the differing leaves.
    """
    directory = pathlib.Path(directory).absolute()
    present = steps(directory)
    if not present:
        raise FileNotFoundError(f"no checkpoint in {directory}")
    if step is not None and step not in present:
        raise FileNotFoundError(f"no step {step} in {directory}; there are {present}")
    problems = []
    for candidate in [step] if step is not None else reversed(present):
        try:
            leaves, metadata = _read(directory, candidate)
        except DamagedCheckpointError as error:
            problems.append(str(error))
            if step is None:
                _LOG.warning("%s; trying the step before it", error)
                if set_aside_damaged:
                    _set_aside(directory / str(candidate))
            continue
        return (
            candidate,
            tree_paths.nest(leaves) if target is None else _fill(target, leaves),
            metadata,
        )
    raise DamagedCheckpointError("; ".join(problems))


def latest(directory):
    """Gives the newest step of a folder whose files are all there, or None; reads no leaf."""
    directory = pathlib.Path(directory)
    complete = [
        step for step in steps(directory) if (directory / str(step) / "meta" / "metadata").is_file()
    ]
    return complete[-1] if complete else None


def run_folder(workdir):
    """Gives the folder of a run's work directory in which its steps are kept."""
    return pathlib.Path(workdir) / _RUN_FOLDER


def _read(directory, step):
    """Reads one step into `{path: array}` and metadata, or says what is wrong with it."""
    import orbax.checkpoint as ocp

    where = f"checkpoint step {step} in {directory} is damaged"
    try:
        record = json.loads((directory / str(step) / "meta" / "metadata").read_text())
        intact = integrity.is_sealed(record)
    except (OSError, ValueError, AttributeError, LookupError, TypeError) as error:
        raise DamagedCheckpointError(
            f"{where}: its record cannot be read ({type(error).__name__})"
        ) from None
    if not intact:
        raise DamagedCheckpointError(f"{where}: its record does not match its digest")
    if fault := integrity.fault(directory / str(step)):  # orbax's readers leave tracebacks behind
        raise DamagedCheckpointError(f"{where}: {fault}")
    stored = {}
    if any(0 not in about["shape"] for about in record["leaves"].values()):
        try:
            handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=_alone())
            with _quiet(), ocp.Checkpointer(handler, multiprocessing_options=_alone()) as reader:
                stored = tree_paths.flatten(reader.restore(directory / str(step) / "state"))
        except Exception as error:  # of what is damaged tensorstore raises bare ones, pages long
            if integrity.are_noted(directory / str(step)):
                raise  # the files are what was written: memory, say, is short, and they stay good
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
            raise DamagedCheckpointError(f"{where}: {reason}") from None
    leaves = {}
    for name, about in record["leaves"].items():
        path = tuple(about["path"])
        array = (
            np.asarray(stored[path]) if path in stored else np.zeros(about["shape"], about["dtype"])
        )
        if integrity.of(array.tobytes()) != about["digest"] or list(array.shape) != about["shape"]:
            raise DamagedCheckpointError(
                f"{where}: the bytes of {name!r} do not match their digest"
            )
        leaves[path] = jax.random.wrap_key_data(array, impl=about["key"]) if about["key"] else array
    return leaves, record["metadata"]


def steps(directory):
    """Gives the steps of a folder in rising order, damaged ones included; none if it is absent."""
    directory = pathlib.Path(directory)
    if not directory.is_dir():
        return []
    return sorted(
        int(entry.name)
        for entry in directory.iterdir()
        if entry.is_dir() and entry.name.isdecimal()
    )


def clean(directory):
    """Removes what a process that died while saving left behind; nobody may be saving meanwhile.

    Args:
      directory: folder given to `save`; may be absent.
    """
    for unfinished in pathlib.Path(directory).glob(f"*{_UNFINISHED}*"):
        shutil.rmtree(unfinished, ignore_errors=True)


def _fill(target, leaves):
    return tree_paths.fill(target, leaves, misfit="the checkpoint does not fit the target")


def _reason(directory, step, error):
    """Says in one line why a step was not saved; frees the space that it took."""
    for unfinished in directory.glob(f"{step}{_UNFINISHED}*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    text = " ".join(str(error).split()) or type(error).__name__
    if "No space left" in text or getattr(error, "errno", None) == errno.ENOSPC:
        text = "the disk is full"
    others = [each for each in steps(directory) if each != step]
    kept = f"steps {', '.join(map(str, others))} are untouched" if others else "there was none yet"
    return f"step {step} could not be saved in {directory}: {text[:200]}; {kept}"


def _alone():
    """Tells orbax that this process needs none of the others: one writes, and each reads."""
    import orbax.checkpoint as ocp

    me = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process{me}"
    )


def _set_aside(folder):
    taken = len(list(folder.parent.glob(f"{folder.name}.damaged*")))
    folder.rename(folder.with_name(f"{folder.name}.damaged{taken or ''}"))


@contextlib.contextmanager
def _settled(directory):
    """Waits, where the block fails, for the threads it began: orbax leaves its writers at work.

    Of the failed writes only the first is the block's error. The others would be logged as
    exceptions that nobody retrieved, page after page, when they are collected: no word of asyncio's
    about this directory is passed on any more.
    """
    before = set(threading.enumerate())
    try:
        yield
    except Exception:
        deadline = time.monotonic() + _SETTLING_SECONDS
        for thread in set(threading.enumerate()) - before:
            # Not `thread.join`, in whose place orbax's threads have one that raises.
            threading.Thread.join(thread, max(0.0, deadline - time.monotonic()))
        logger = logging.getLogger("asyncio")
        logger.addFilter(lambda record: str(directory) not in record.getMessage())
        raise


@contextlib.contextmanager
def _quiet():
    """Keeps orbax's running commentary (through absl's logger) off the user's terminal."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)

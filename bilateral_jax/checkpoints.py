"""Pytrees on disk: written whole or not at all, verified when read, the configuration inside.

One step is one orbax directory `DIRECTORY/STEP` with the leaves as host NumPy arrays (so that it
can be read on any number of devices) and a JSON record: the caller's metadata and, for every leaf,
shape, dtype and a digest of its bytes. Orbax itself loads a flipped bit without a word; here a
leaf that does not match its digest makes the step a damaged one.
Trees are known by the names on their paths only: no class is stored, none is needed for reading.

Receives state pytrees from training/loop.py and weights from importers.
Hands NumPy pytrees to experiments and inference.py.
"""

import contextlib
import dataclasses
import errno
import json
import logging
import pathlib
import shutil
import threading
import time
from typing import Any

import jax
import numpy as np

from bilateral_jax import digests
from bilateral_jax import leaves as leaves_lib

_LOG = logging.getLogger(__name__)
_RUN_FOLDER = "checkpoints"
_UNFINISHED = ".orbax-checkpoint-tmp"
_SETTLING_SECONDS = 10.0  # a failed save's writers end within one


class DamagedCheckpointError(ValueError):
    """A checkpoint cannot be trusted; the message names the step, the path and the reason."""


class NotSavedError(OSError):
    """A step could not be written; the message names it, the reason, and what is still there."""


@dataclasses.dataclass(frozen=True)
class SavedModel:
    """What rebuilds a network: its registered name, its hyper-parameters, its leaves (NumPy)."""

    name: str
    hyperparameters: dict[str, Any]
    params: Any
    batch_stats: Any
    metadata: dict[str, Any]


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
    for path, leaf in leaves_lib.named(state).items():
        kind = leaves_lib.key_kind(leaf)
        array = np.asarray(jax.device_get(jax.random.key_data(leaf) if kind else leaf))
        leaves["/".join(path)] = {
            "path": path,
            "shape": array.shape,
            "dtype": str(array.dtype),
            "key": kind,
            "digest": digests.of(array.tobytes()),
        }
        if array.size:  # orbax refuses arrays without elements; the record alone rebuilds them
            leaves_lib.insert(arrays, path, array)
    record = digests.sealed({"format": 1, "leaves": leaves, "metadata": metadata or {}})
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
        digests.note_files(directory / str(step), "state")
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
            leaves_lib.nested(leaves) if target is None else leaves_lib.fill(target, leaves),
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


def save_model(path, *, name, hyperparameters, params, batch_stats=None, metadata=None):
    """Writes a model for `load_model` and `python -m bilateral_jax enhance`.

    Args:
      path: folder to create.
      name: registered name of the network, as `models.create` takes it.
      hyperparameters: JSON-able dict, as `models.create` takes it.
      params: pytree of weights.
      batch_stats: pytree of running statistics; None for a network without any.
      metadata: JSON-able dict, for example where the weights come from.

    Raises:
      ValueError: the folder already holds a model.
    """
    if steps(pathlib.Path(path)):
        raise ValueError(f"{path} already holds a model; choose another folder or remove it first")
    state = {"params": params, "batch_stats": batch_stats or {}}
    save(path, 0, state, metadata={**(metadata or {}), "model": model_entry(name, hyperparameters)})


def model_entry(name, hyperparameters, *, params="params", batch_stats="batch_stats"):
    """Describes a model inside a state; `load_model` looks for it in `metadata["model"]`.

    Args:
      name: registered name of the network.
      hyperparameters: JSON-able dict.
      params: path of the weights to use in the state, for example "average" or, in a state that
        holds several networks, "generator/average".
      batch_stats: path of the running statistics.
    """
    return {
        "name": name,
        "hyperparameters": dict(hyperparameters),
        "params": params,
        "batch_stats": batch_stats,
    }


def load_model(path, step=None):
    """Reads the model from a run's work directory or from a folder written by `save_model`.

    Args:
      path: work directory of a run (with a `checkpoints` folder in it), that folder, or an
        exported model.
      step: which step of a run; None for the newest good one.

    Returns:
      A `SavedModel`; its `metadata` carries the step under "step".

    Raises:
      FileNotFoundError: there is no checkpoint at `path`.
      DamagedCheckpointError: no good step is left.
      ValueError: the checkpoint holds no model.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        raise FileNotFoundError(
            f"{path} is not a folder; expected a run's work directory or an exported model"
        )
    folder = path / _RUN_FOLDER if (path / _RUN_FOLDER).is_dir() else path
    step, state, metadata = restore(folder, step)
    if "model" not in metadata:
        raise ValueError(
            f"step {step} in {folder} holds no description of a model, only {sorted(state)}"
        )
    entry = metadata["model"]
    params = _at(state, entry["params"])
    if params is None:
        raise ValueError(
            f"step {step} in {folder} holds {sorted(state)}, not the weights {entry['params']!r}"
        )
    return SavedModel(
        name=entry["name"],
        hyperparameters=entry["hyperparameters"],
        params=params,
        batch_stats=_at(state, entry["batch_stats"]) or {},
        metadata={**metadata, "step": step},
    )


def _at(state, path):
    """Gives the entry of nested dictionaries at a path of names; None if there is none."""
    for name in path.split("/"):
        state = state.get(name) if isinstance(state, dict) else None
    return state


def run_folder(workdir):
    """Gives the folder of a run's work directory in which its steps are kept."""
    return pathlib.Path(workdir) / _RUN_FOLDER


def _read(directory, step):
    """Reads one step into `{path: array}` and metadata, or says what is wrong with it."""
    import orbax.checkpoint as ocp

    where = f"checkpoint step {step} in {directory} is damaged"
    try:
        record = json.loads((directory / str(step) / "meta" / "metadata").read_text())
        intact = digests.is_sealed(record)
    except (OSError, ValueError, AttributeError, LookupError, TypeError) as error:
        raise DamagedCheckpointError(
            f"{where}: its record cannot be read ({type(error).__name__})"
        ) from None
    if not intact:
        raise DamagedCheckpointError(f"{where}: its record does not match its digest")
    if fault := digests.fault(directory / str(step)):  # orbax's readers leave tracebacks behind
        raise DamagedCheckpointError(f"{where}: {fault}")
    stored = {}
    if any(0 not in about["shape"] for about in record["leaves"].values()):
        try:
            handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=_alone())
            with _quiet(), ocp.Checkpointer(handler, multiprocessing_options=_alone()) as reader:
                stored = leaves_lib.named(reader.restore(directory / str(step) / "state"))
        except (
            Exception
        ) as error:  # tensorstore raises bare Exception with pages of its own state: keep one line
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
            raise DamagedCheckpointError(f"{where}: {reason}") from None
    leaves = {}
    for name, about in record["leaves"].items():
        path = tuple(about["path"])
        array = (
            np.asarray(stored[path]) if path in stored else np.zeros(about["shape"], about["dtype"])
        )
        if digests.of(array.tobytes()) != about["digest"] or list(array.shape) != about["shape"]:
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

"""Pytrees on disk: saved whole or not at all, with metadata, and validated when restored.

One step is one orbax directory `DIRECTORY/STEP` with the leaves as host NumPy arrays (so that it
can be restored on any number of devices) and a JSON record: the caller's metadata and, for every
leaf, shape, dtype and checksum. Orbax itself loads a flipped bit without an error; here a leaf that
does not match its checksum makes the step a damaged one.
Leaves are identified by the names on their paths: no class is stored, none is needed for restoring.
"""

import errno
import logging
import pathlib
import shutil

import jax
import numpy as np

from bilateral_jax import tree_paths
from bilateral_jax.checkpoints import integrity, orbax_calls, step_record

_LOG = logging.getLogger(__name__)
_RUN_FOLDER = "checkpoints"
_UNFINISHED = ".orbax-checkpoint-tmp"


DamagedCheckpointError = step_record.DamagedCheckpointError
UnknownFormatError = step_record.UnknownFormatError


class NotSavedError(OSError):
    """A step could not be saved; the message names it, the reason, and the steps still there."""


def save(directory, step, state, *, metadata=None, max_to_keep=3):
    """Saves one step, whole or not at all.

    Args:
      directory: folder that holds the steps; created if absent.
      step: number of the step, larger than every step already there.
      state: any pytree of arrays; random keys are stored as their data. Empty containers are not
        stored.
      metadata: JSON-able dict saved with the leaves.
      max_to_keep: number of steps to keep; older ones are deleted once the new one is complete.
        None keeps all.

    Raises:
      ValueError: the step is not newer than those present, `state` is a single array, or
        `metadata` is not JSON-able.
      NotSavedError: it could not be written, for example on a full disk; the step is removed, and
        those before it are unchanged.
    """
    import orbax.checkpoint as ocp

    directory = pathlib.Path(directory).absolute()
    present = steps(directory)
    if present and step <= present[-1]:
        raise ValueError(f"step {step} is not newer than step {present[-1]} in {directory}")
    arrays, leaves = _host_arrays(state)
    record = step_record.make(step, leaves, metadata or {})
    options = ocp.CheckpointManagerOptions(
        max_to_keep=max_to_keep,
        enable_async_checkpointing=False,
        create=False,
        multiprocessing_options=orbax_calls.single_process(),
    )
    args = ocp.args.Composite(state=ocp.args.StandardSave(arrays), meta=ocp.args.JsonSave(record))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with (
            orbax_calls.without_log(),
            orbax_calls.waiting_for_writers(directory),
            ocp.CheckpointManager(directory, options=options) as manager,
        ):
            saved = manager.save(step, args=args)
        integrity.write_file_checksums(directory / str(step), "state")
    except Exception as error:  # a full disk is an OSError, or one of three others from tensorstore
        raise NotSavedError(_failure_reason(directory, step, error)) from error
    if not saved:
        raise RuntimeError(f"orbax declined to write step {step} in {directory}")


def restore(directory, step=None, target=None, *, set_aside_damaged=False):
    """Restores one step and validates every leaf.

    Args:
      directory: folder given to `save`.
      step: which step; None for the newest valid one: a damaged step is logged as a warning and the
        one before it restored.
      target: pytree of arrays or `jax.ShapeDtypeStruct` whose leaves are matched by name; None
        gives nested dicts.
      set_aside_damaged: rename damaged steps that were skipped to `STEP.damaged`, so that a run can
        save that number again.

    Returns:
      `(step, state, metadata)`: state with NumPy leaves (random keys rebuilt), metadata as given
      to `save`.

    Raises:
      FileNotFoundError: there is no checkpoint, or not the step asked for.
      DamagedCheckpointError: the step asked for, or every step, is damaged.
      UnknownFormatError: a step was written by a later version; no older one is tried.
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
            tree_paths.nest(leaves)
            if target is None
            else tree_paths.fill(target, leaves, misfit="the checkpoint does not fit the target"),
            metadata,
        )
    raise DamagedCheckpointError("; ".join(problems))


def latest(directory):
    """Gives the newest complete step of a folder, or None; reads no leaf."""
    directory = pathlib.Path(directory)
    complete = [step for step in steps(directory) if step_record.exists(directory / str(step))]
    return complete[-1] if complete else None


def run_folder(workdir):
    """Gives the folder of a run's work directory that holds its steps."""
    return pathlib.Path(workdir) / _RUN_FOLDER


def _host_arrays(state):
    """Gives (nested dicts of NumPy arrays, the record of every leaf by name)."""
    arrays, records = {}, {}
    for path, leaf in tree_paths.flatten(state).items():
        name = "/".join(path)
        kind = tree_paths.key_implementation(leaf)
        array = np.asarray(jax.device_get(jax.random.key_data(leaf) if kind else leaf))
        arrays[name] = array
        records[name] = {
            "path": path,
            "shape": array.shape,
            "dtype": str(array.dtype),
            "key": kind,
        }
    for name, checksum in integrity.checksums(arrays).items():
        records[name]["digest"] = checksum
    # Orbax refuses arrays without elements; the record alone rebuilds them.
    kept = {records[name]["path"]: array for name, array in arrays.items() if array.size}
    return tree_paths.nest(kept), records


def _read(directory, step):
    """Reads and validates one step; gives (`{path: array}`, metadata)."""
    where = f"checkpoint step {step} in {directory} is damaged"
    folder = directory / str(step)
    record = step_record.read(folder, step, where)
    # Before orbax's readers, which log tracebacks.
    if fault := integrity.find_damage(folder):
        raise DamagedCheckpointError(f"{where}: {fault}")
    expected = {
        tuple(about["path"]): (tuple(about["shape"]), about["dtype"])
        for about in record["leaves"].values()
        if 0 not in about["shape"]
    }
    stored = _read_arrays(folder, expected, where) if expected else {}
    arrays = {}
    for name, about in record["leaves"].items():
        path = tuple(about["path"])
        empty = path not in expected
        arrays[name] = (
            np.zeros(about["shape"], about["dtype"]) if empty else np.asarray(stored[path])
        )
    checksums = integrity.checksums(arrays)
    leaves = {}
    for name, about in record["leaves"].items():
        if checksums[name] != about["digest"]:
            raise DamagedCheckpointError(
                f"{where}: the bytes of {name!r} do not match their checksum"
            )
        leaves[tuple(about["path"])] = _leaf(arrays[name], about["key"], f"{where}: {name!r}")
    return leaves, record["metadata"]


def _leaf(array, key, where):
    """Returns an array as it is, or the random key whose data it holds."""
    if not key:
        return array
    try:
        return jax.random.wrap_key_data(array, impl=key)
    except (TypeError, ValueError):
        raise DamagedCheckpointError(f"{where} is not the data of a {key} key") from None


def _read_arrays(folder, expected, where):
    """Reads `{path: array}`; first compares headers with `expected`, `{path: (shape, dtype)}`."""
    import orbax.checkpoint as ocp

    single = orbax_calls.single_process()
    try:
        handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=single)
        with (
            orbax_calls.without_log(),
            orbax_calls.without_late_reports(),
            ocp.Checkpointer(handler, multiprocessing_options=single) as reader,
        ):
            headers = tree_paths.flatten(reader.metadata(folder / "state").item_metadata.tree)
            found = {
                path: (tuple(about.shape), str(np.dtype(about.dtype)))
                for path, about in headers.items()
            }
            if found != expected:
                raise DamagedCheckpointError(f"{where}: its arrays are not those of its record")
            return tree_paths.flatten(reader.restore(folder / "state"))
    except (MemoryError, DamagedCheckpointError):
        raise
    except Exception as error:  # tensorstore raises bare, page-long ones for damaged files
        odd = isinstance(error, ValueError | TypeError | LookupError | AttributeError)
        if integrity.has_file_checksums(folder) and (not odd or "EXHAUSTED" in str(error)):
            raise  # the files are valid: another cause, for example too little memory
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise DamagedCheckpointError(f"{where}: {reason}") from None


def steps(directory):
    """Lists the steps of a folder in rising order, damaged ones included; none if it is absent."""
    directory = pathlib.Path(directory)
    if not directory.is_dir():
        return []
    return sorted(
        int(entry.name)
        for entry in directory.iterdir()
        if entry.is_dir() and entry.name.isdecimal()
    )


def clean(directory):
    """Removes unfinished steps of killed processes; nobody may be saving meanwhile.

    Args:
      directory: folder given to `save`; may be absent.
    """
    for unfinished in pathlib.Path(directory).glob(f"*{_UNFINISHED}*"):
        shutil.rmtree(unfinished, ignore_errors=True)


def _failure_reason(directory, step, error):
    """Removes what was written of a step and gives one line on why it was not saved."""
    for unfinished in directory.glob(f"{step}{_UNFINISHED}*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    text = " ".join(str(error).split()) or type(error).__name__
    if "No space left" in text or getattr(error, "errno", None) == errno.ENOSPC:
        text = "the disk is full"
    others = [each for each in steps(directory) if each != step]
    names = ", ".join(map(str, others))
    kept = "no other step is saved yet"
    if others:
        kept = f"steps {names} are untouched" if len(others) > 1 else f"step {names} is untouched"
    return f"step {step} could not be saved in {directory}: {text[:200]}; {kept}"


def _set_aside(folder):
    taken = len(list(folder.parent.glob(f"{folder.name}.damaged*")))
    folder.rename(folder.with_name(f"{folder.name}.damaged{taken or ''}"))

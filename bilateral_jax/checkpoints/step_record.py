"""The JSON record of a saved step: format, number, leaves and metadata, validated when read.

A record is untrusted: its checksum detects accidents, not forgeries. So every field is checked
before anything is allocated, and the leaves cannot be larger than the step's files could hold.
"""

import json
import math
import pathlib

import jax
import numpy as np

from bilateral_jax import regular_files
from bilateral_jax.checkpoints import integrity

FORMAT = 1
# Orbax compresses weights hardly, zeros a thousand times. Smaller states are always allowed.
_MOST_COMPRESSION = 1000
_ALWAYS_ALLOWED = 256 << 20
_MOST_RECORD = 256 << 20  # bytes
_FILE = pathlib.PurePath("meta", "metadata")


class DamagedCheckpointError(ValueError):
    """A checkpoint is damaged; the message names the step, the path and the reason."""


class UnknownFormatError(ValueError):
    """A checkpoint was written in a format that this version does not know."""


def make(step, leaves, metadata):
    """Makes the record of a step, with its checksum.

    Args:
      step: number of the step.
      leaves: `{name: {"path", "shape", "dtype", "key", "digest"}}`.
      metadata: JSON-able dict.

    Raises:
      ValueError: JSON cannot hold the metadata.
    """
    content = {"format": FORMAT, "step": step, "leaves": leaves, "metadata": metadata}
    return integrity.with_checksum(content)


def exists(folder):
    """Whether the folder of a step holds a record."""
    return (pathlib.Path(folder) / _FILE).is_file()


def read(folder, step, where):
    """Reads and validates the record of a step.

    Args:
      folder: of the step.
      step: the number that its folder has.
      where: how a message begins, for example "checkpoint step 5 in RUN is damaged".

    Returns:
      The record, a dict; `leaves` are in order and their fields of the right types.

    Raises:
      DamagedCheckpointError: it cannot be read, does not match its checksum, has a missing or
        invalid field or another step's number, or its leaves are larger than the step's files can
        hold.
      UnknownFormatError: its format is a later one.
    """
    try:
        record = json.loads(regular_files.read_text(folder / _FILE, most=_MOST_RECORD))
        valid = integrity.is_valid(record)
    except Exception as error:  # parsers of untrusted bytes may raise anything
        reason = type(error).__name__ if isinstance(error, OSError) else error
        raise DamagedCheckpointError(
            f"{where}: its record cannot be read ({_short(reason)})"
        ) from None
    if not valid:
        raise DamagedCheckpointError(f"{where}: its record does not match its checksum")
    if _is_count(record.get("format")) and record["format"] > FORMAT:
        raise UnknownFormatError(
            f"step {step} in {folder.parent} has format {record['format']}; this version reads up "
            f"to {FORMAT}: it was written by a later version of bilateral_jax"
        )
    if fault := _fault(record, step) or _too_large(record, folder):
        raise DamagedCheckpointError(f"{where}: {fault}")
    return record


def _fault(record, step):
    """Says which field of a record is missing or invalid; None if all are valid."""
    if record.get("format") != FORMAT or isinstance(record["format"], bool):
        return f"its record has format {_short(record.get('format'))}, expected {FORMAT}"
    if record.get("step", step) != step:  # the first records had no number
        return f"its record is that of step {_short(record['step'])}"
    for name in ("leaves", "metadata"):
        if not isinstance(record.get(name), dict):
            return f"its record has no {name}"
    paths = set()
    for name, about in record["leaves"].items():
        if fault := _leaf_fault(name, about):
            return f"its record of leaf {_short(name)} {fault}"
        paths.add(tuple(about["path"]))
    inside = {path[:end] for path in paths for end in range(1, len(path))}
    if len(paths) < len(record["leaves"]) or inside & paths:
        return "two leaves of its record have the same path"
    return None


def _leaf_fault(name, about):
    """Says which field of a leaf's record is missing or invalid; None if all are valid."""
    if not isinstance(about, dict):
        return "is not a JSON object"
    path, shape = about.get("path"), about.get("shape")
    if not isinstance(path, list) or not path or not all(isinstance(part, str) for part in path):
        return "has no valid path"
    if "/".join(path) != name:
        return "has the path of another leaf"
    if not isinstance(shape, list) or not all(_is_count(side) for side in shape):
        return f"has the shape {_short(shape)}"
    if not isinstance(about.get("digest"), str):
        return "has no digest"
    key = about.get("key", "absent")
    if key is not None and not _is_key_kind(key):
        return f"has the key {_short(key)}"
    try:
        dtype = np.dtype(about["dtype"])
    except (LookupError, TypeError, ValueError, SyntaxError):
        return f"has the dtype {_short(about.get('dtype'))}"
    if not isinstance(about["dtype"], str) or dtype.hasobject or not dtype.itemsize:
        return f"has the dtype {_short(about['dtype'])}"
    return None


def _too_large(record, folder):
    """Says if the leaves exceed what the step's files can hold, or one is not a regular file."""
    asked, held = sum(_bytes(about) for about in record["leaves"].values()), 0
    for path in folder.rglob("*"):
        if not path.is_dir():
            if fault := regular_files.fault(path):
                return f"{path.relative_to(folder)} {fault}"
            held += path.stat().st_size
    if asked > max(_ALWAYS_ALLOWED, _MOST_COMPRESSION * held):
        return f"its record asks for {asked:,} bytes, its files have {held:,}"
    widest = max(
        (side for about in record["leaves"].values() for side in about["shape"]), default=0
    )
    return f"its record has a side of {widest:,}" if widest > 1 << 40 else None


def _bytes(about):
    return math.prod(about["shape"]) * np.dtype(about["dtype"]).itemsize


def _is_key_kind(name):
    try:
        return isinstance(name, str) and bool(jax.random.key_impl(jax.random.key(0, impl=name)))
    except ValueError:
        return False


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _short(value):
    return repr(value[:60]) if isinstance(value, str) else str(value)[:120]

"""Checksums of bytes, files and JSON records: how a damaged checkpoint is recognised.

Checksums are BLAKE2b of 128 bits, as hexadecimal text. On disk they are called digests: in the
records' key "digest" and in the file `digests.json`.
"""

import hashlib
import json

from bilateral_jax import atomic, regular_files

_FILE = "digests.json"


def checksum(data):
    """Computes the checksum of bytes."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def checksums(arrays):
    """Computes the checksums of `{name: NumPy array}`, by name."""
    return {name: checksum(array.tobytes()) for name, array in arrays.items()}


def with_checksum(record):
    """Adds a record's checksum to it, computed after a round trip through JSON.

    Args:
      record: JSON-able dict.

    Raises:
      ValueError: JSON cannot hold it.
    """
    try:
        record = json.loads(json.dumps(record))
    except TypeError as error:
        raise ValueError(f"metadata must be JSON-able: {error}") from None
    return {**record, "digest": checksum(json.dumps(record, sort_keys=True).encode())}


def is_valid(record):
    """Checks a record against the checksum in it."""
    content = {key: value for key, value in record.items() if key != "digest"}
    return record["digest"] == with_checksum(content)["digest"]


def write_file_checksums(folder, part):
    """Writes the checksums of all files of a sub-folder, after flushing the files to the disk.

    Args:
      folder: gets the file of checksums.
      part: name of the sub-folder.
    """
    for path in sorted(folder.rglob("*")):
        atomic.flush(path)
    by_name = {
        path.relative_to(folder).as_posix(): checksum(path.read_bytes())
        for path in sorted((folder / part).rglob("*"))
        if path.is_file()
    }
    atomic.write_json(folder / _FILE, by_name, sync=True)
    atomic.flush(folder.parent)


def find_damage(folder):
    """Compares files with their checksums.

    Args:
      folder: as given to `write_file_checksums`.

    Returns:
      What is wrong with the first file that differs; None if none does, or if there are no
      checksums (the process was killed before it wrote them).
    """
    try:
        stored = json.loads(regular_files.read_text(folder / _FILE)).items()
    except FileNotFoundError:
        return None
    except Exception:  # parsers of untrusted bytes may raise anything
        return f"{_FILE} cannot be read"
    for name, expected in stored:
        path = folder / name
        if ".." in path.parts or not path.is_file():
            return f"{name} is missing"
        if checksum(path.read_bytes()) != expected:
            return f"the bytes of {name} do not match their checksum"
    return None


def has_file_checksums(folder):
    """Checks whether `write_file_checksums` was completed for a folder."""
    return (folder / _FILE).is_file()

"""Digests of bytes, of files and of records: how `checkpoints/` knows damage from data.

Receives arrays' bytes, folders and JSON records from checkpoints/.
Hands digests back, and what does not match them.
"""

import hashlib
import json
import os

_FILE = "digests.json"


def of(data):
    """Gives the digest of bytes as text."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def sealed(record):
    """Adds a digest of the record itself, taken after a passage through JSON.

    Args:
      record: a dict that JSON can write.

    Raises:
      ValueError: JSON cannot write it.
    """
    try:
        record = json.loads(json.dumps(record))
    except TypeError as error:
        raise ValueError(f"metadata must be JSON-able: {error}") from None
    return {**record, "digest": of(json.dumps(record, sort_keys=True).encode())}


def is_sealed(record):
    """Says whether a record still matches the digest inside it."""
    return record["digest"] == sealed({k: v for k, v in record.items() if k != "digest"})["digest"]


def note_files(folder, part):
    """Notes a digest of every file of a folder's part, once all its files are on the disk.

    Args:
      folder: where the digests are kept.
      part: name of the folder in it whose files they are.
    """
    for path in sorted(folder.rglob("*")):
        _flush(path)
    digests = {
        path.relative_to(folder).as_posix(): of(path.read_bytes())
        for path in sorted((folder / part).rglob("*"))
        if path.is_file()
    }
    partial = folder / f"{_FILE}.partial"
    partial.write_text(json.dumps(digests, indent=0), encoding="utf-8")
    _flush(partial)
    os.replace(partial, folder / _FILE)
    for each in (folder, folder.parent):
        _flush(each)


def fault(folder):
    """Looks for a file that does not match its digest.

    A process killed between writing files and their digests leaves a folder without digests: there
    is nothing to say about that one.

    Args:
      folder: as given to `note_files`.

    Returns:
      What is wrong, or None.
    """
    try:
        digests = json.loads((folder / _FILE).read_text(encoding="utf-8")).items()
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError):
        return f"{_FILE} cannot be read"
    for name, digest in digests:
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if of(path.read_bytes()) != digest:
            return f"the bytes of {name} do not match their digest"
    return None


def are_noted(folder):
    """Says whether a folder has digests of its files, as `note_files` leaves them."""
    return (folder / _FILE).is_file()


def _flush(path):
    """Makes a file or a folder survive the loss of power, not of the process alone."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)

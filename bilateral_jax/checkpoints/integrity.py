"""Digests of bytes, of files and of records: how `checkpoints/` knows damage from data.

Receives arrays' bytes, folders and JSON records from checkpoints/.
Hands digests back, and what does not match them.
"""

import hashlib
import json

from bilateral_jax import atomic

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
        atomic.flush(path)
    digests = {
        path.relative_to(folder).as_posix(): of(path.read_bytes())
        for path in sorted((folder / part).rglob("*"))
        if path.is_file()
    }
    atomic.write_json(folder / _FILE, digests, sync=True)
    atomic.flush(folder.parent)


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

"""TensorFlow checkpoints ("tensor bundles") read without TensorFlow.

A checkpoint PREFIX is two kinds of files. `PREFIX.index` is a LevelDB table that maps variable
names to records (dtype, shape, shard, offset, size, checksum); its blocks hold sorted keys, each
storing only what differs from the one before. `PREFIX.data-00000-of-0000N` holds the bytes,
little-endian, one after another. Everything read is checked against the file's size and its
checksums, so a broken download is an error.
"""

import dataclasses
import math
import pathlib
import re
import struct

import ml_dtypes
import numpy as np

from bilateral_jax.importers.formats import failures

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_TRAILER = 5  # compression kind and checksum after every block
_STRING = 7
_LONGEST_KEY = 1024
_MASK_DELTA = 0xA282EAD8
_DTYPES = {
    1: np.float32,
    2: np.float64,
    3: np.int32,
    4: np.uint8,
    5: np.int16,
    6: np.int8,
    9: np.int64,
    10: np.bool_,
    14: ml_dtypes.bfloat16,
    17: np.uint16,
    19: np.float16,
    22: np.uint32,
    23: np.uint64,
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """Position and type of one variable.

    Attributes:
      dtype: TensorFlow's number of the type.
      shape: of the array.
      shard: number of the data file.
      offset: first byte in it.
      size: bytes.
      checksum: masked CRC-32C of the bytes; None if not stored.
      sliced: the variable is stored in parts under other keys.
    """

    dtype: int = 0
    shape: tuple[int, ...] = ()
    shard: int = 0
    offset: int = 0
    size: int = 0
    checksum: int | None = None
    sliced: bool = False


def find(source) -> pathlib.Path:
    """Finds the prefix of a checkpoint.

    Args:
      source: the prefix, its `.index` file, or a folder with a `checkpoint` file or with exactly
        one `.index`.

    Returns:
      The prefix.

    Raises:
      FileNotFoundError: there is no checkpoint.
      ValueError: the folder holds several and does not say which.
    """
    source = pathlib.Path(source)
    if source.is_dir():
        return _find_in_folder(source)
    prefix = source.with_suffix("") if source.suffix == ".index" else source
    if not _index_path(prefix).is_file():
        if source.is_file() and not re.search(r"\.data-\d+-of-\d+$", source.name):
            raise ValueError(f"{source} is not a file of weights of a known format")
        raise FileNotFoundError(
            f"no TensorFlow checkpoint at {source}: {_index_path(prefix)} is missing"
        )
    return prefix


def entries(source) -> dict[str, Entry]:
    """Reads the index: every variable's name and position; strings are left out.

    Args:
      source: see `find`.

    Returns:
      Name to entry, in the file's (sorted) order.

    Raises:
      FileNotFoundError: see `find`.
      ValueError: the index is damaged, compressed or big-endian; the message names the file.
    """
    return _read_index(_index_path(find(source)))[1]


def read(source) -> dict[str, np.ndarray]:
    """Reads every numeric variable of a checkpoint.

    Args:
      source: see `find`.

    Returns:
      Name to array.

    Raises:
      FileNotFoundError: no checkpoint, or a data file is missing.
      ValueError: a file is damaged or of a kind not supported; the message names the file.
    """
    prefix = find(source)
    shards, index = _read_index(_index_path(prefix))
    variables, files, sizes = {}, {}, {}
    for name, entry in index.items():
        path = prefix.with_name(f"{prefix.name}.data-{entry.shard:05d}-of-{shards:05d}")
        if path not in files:
            if not path.is_file():
                raise FileNotFoundError(f"the checkpoint {prefix} lacks its data file {path}")
            files[path] = (
                np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)
            )
        variables[name] = _variable(path, files[path], name, entry)
        sizes[path] = sizes.get(path, 0) + entry.size
        if sizes[path] > files[path].size:
            raise ValueError(f"{path}: its variables overlap at {name}")
    return variables


def masked_checksum(data: bytes) -> int:
    """Computes the CRC-32C of bytes, rotated and shifted as TensorFlow stores it.

    Args:
      data: the bytes.

    Returns:
      Int in [0, 2**32).

    Raises:
      ImportError: google-crc32c is not installed.
    """
    try:
        import google_crc32c
    except ImportError as error:
        raise ImportError(
            "reading TensorFlow checkpoints needs google-crc32c: "
            'pip install "bilateral_jax[images]"'
        ) from error
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def _find_in_folder(folder):
    named = folder / "checkpoint"
    if named.is_file():
        match = re.search(r'^model_checkpoint_path:\s*"(.*)"', named.read_text(), re.MULTILINE)
        if match and _index_path(folder / pathlib.PurePath(match[1]).name).is_file():
            return folder / pathlib.PurePath(match[1]).name
    found = sorted(folder.glob("*.index"))
    if not found:
        raise FileNotFoundError(f"no TensorFlow checkpoint in {folder}: it has no .index file")
    if len(found) > 1:
        names = ", ".join(path.stem for path in found)
        raise ValueError(f"{folder} holds several checkpoints ({names}); name one of them")
    return found[0].with_suffix("")


def _index_path(prefix):
    return prefix.with_name(prefix.name + ".index")


def _variable(path, data, name, entry):
    if entry.sliced or entry.dtype not in _DTYPES:
        kind = "stored in slices" if entry.sliced else f"of TensorFlow type {entry.dtype}"
        raise ValueError(f"{path}: variable {name} is {kind}, which is not supported")
    dtype = np.dtype(_DTYPES[entry.dtype])
    if entry.size != math.prod(entry.shape) * dtype.itemsize or min(entry.shape, default=0) < 0:
        raise ValueError(
            f"{path}: variable {name} of shape {entry.shape} cannot have {entry.size} bytes"
        )
    if entry.offset < 0 or entry.offset + entry.size > data.size:
        raise ValueError(
            f"{path} is truncated: variable {name} ends at byte {entry.offset + entry.size} "
            f"of {data.size}"
        )
    content = data[entry.offset : entry.offset + entry.size].tobytes()
    if entry.checksum is not None and masked_checksum(content) != entry.checksum:
        raise ValueError(f"{path} is damaged: the checksum of variable {name} does not match")
    return np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype).reshape(entry.shape)


def _read_index(path):
    """Reads (number of shards, {name: entry}) from an index file."""
    content = path.read_bytes()
    with failures.named(path, "a checkpoint index"):
        if len(content) < _FOOTER or struct.unpack("<Q", content[-8:])[0] != _MAGIC:
            raise ValueError("it is not a LevelDB table (wrong length or last bytes)")
        footer, at = content[-_FOOTER:], 0
        for _ in range(2):  # the meta index, which TensorFlow leaves empty
            _, at = _varint(footer, at)
        handles = [_handle(h, 0) for h in _block(content, *_handle(footer, at)).values()]
        if sum(size for _, size in handles) > len(content):
            raise ValueError("its blocks overlap")
        records = {}
        for handle in handles:
            records |= _block(content, *handle)
        header = _message(records.pop(b"", b""))
        if _field(header, 2, 0):
            raise ValueError("its data are big-endian, which is not supported")
        found = {key.decode(): _entry(value) for key, value in records.items()}
        shards = _field(header, 1, 1)
    return shards, {k: e for k, e in found.items() if e.dtype != _STRING}


def _handle(data, at):
    offset, at = _varint(data, at)
    size, _ = _varint(data, at)
    return offset, size


def _block(content, offset, size):
    """Reads the keys and values of one block."""
    end = offset + size
    if end + _TRAILER > len(content):
        raise ValueError(
            f"it is truncated: a block ends at byte {end + _TRAILER} of {len(content)}"
        )
    kind, stored = struct.unpack("<BI", content[end : end + _TRAILER])
    if kind:
        raise ValueError(
            "its blocks are compressed (snappy), which is not supported; save it uncompressed"
        )
    if masked_checksum(content[offset : end + 1]) != stored:
        raise ValueError(f"the checksum of the block at byte {offset} does not match")
    data = content[offset:end]
    restarts = struct.unpack("<I", data[-4:])[0]
    stop, at, key, pairs = len(data) - 4 * (restarts + 1), 0, b"", {}
    while at < stop:
        shared, at = _varint(data, at)
        own, at = _varint(data, at)
        length, at = _varint(data, at)
        key = key[:shared] + data[at : at + own]
        if len(key) > _LONGEST_KEY:
            raise ValueError(f"a name has {len(key)} bytes; at most {_LONGEST_KEY} are read")
        at += own
        pairs[key] = data[at : at + length]
        at += length
    return pairs


def _entry(value):
    """Reads a BundleEntryProto."""
    fields = _message(value)
    shape = _message(_field(fields, 2, b""))
    sizes = [_field(_message(_of(bytes, dimension)), 1, 0) for dimension in shape.get(2, [])]
    one = {n: _field(fields, number, 0) for n, number in _ENTRY_FIELDS.items() if number in fields}
    return Entry(shape=tuple(sizes), sliced=7 in fields, **one)


def _field(fields, number, default):
    """The first value of a field, of the type of its default."""
    return _of(type(default), fields.get(number, [default])[0])


def _of(kind, value):
    if not isinstance(value, kind):
        raise ValueError(f"a record has {type(value).__name__} in place of {kind.__name__}")
    return value


_ENTRY_FIELDS = {"dtype": 1, "shard": 3, "offset": 4, "size": 5, "checksum": 6}


def _message(data):
    """Reads a protocol buffer into {field number: [values]}; nested messages stay bytes."""
    fields, at = {}, 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
        elif kind == 2:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise ValueError("a record is cut short")
            value, at = data[at : at + length], at + length
        elif kind in (1, 5):
            width = 8 if kind == 1 else 4
            value, at = int.from_bytes(data[at : at + width], "little"), at + width
        else:
            raise ValueError(f"a record has a field of unknown kind {kind}")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number runs over 64 bits")

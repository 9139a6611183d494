"""TensorFlow checkpoints without TensorFlow: real ones, a synthetic one, damaged ones."""

import struct
import sys

import ml_dtypes
import numpy as np
import pytest

from bilateral_jax.importers.formats import tensor_bundle
from tests import assets

TENSORFLOW_TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "bool": 10, "bfloat16": 14}


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, value):
    """One protocol-buffer field: an int as varint, bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(pairs, kind=0):
    """A LevelDB block with prefix-compressed keys, and its trailer."""
    body, last, restarts = b"", b"", []
    for i, (key, value) in enumerate(pairs):
        shared = 0
        if i % 4:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        else:
            restarts.append(len(body))
        body += (
            varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        )
        last = key
    body += b"".join(struct.pack("<I", r) for r in restarts or [0])
    body += struct.pack("<I", len(restarts or [0])) + bytes([kind])
    return body + struct.pack("<I", tensor_bundle.masked_checksum(body))


def write_bundle(prefix, variables, *, shards=1, kind=0, header=b"", checksum=True, blocks=2):
    """Writes a checkpoint as TensorFlow lays it out; variable i goes to shard i % shards."""
    data = [b""] * shards
    pairs = [(b"", field(1, shards) + header)]
    for i, name in enumerate(sorted(variables)):
        array = np.asarray(variables[name])
        content, shard = array.tobytes(), i % shards
        shape = b"".join(field(2, field(1, size)) for size in array.shape)
        entry = field(1, TENSORFLOW_TYPES[str(array.dtype)]) + field(2, shape) + field(3, shard)
        entry += field(4, len(data[shard])) + field(5, len(content))
        if checksum:
            entry += varint(6 << 3 | 5) + struct.pack("<I", tensor_bundle.masked_checksum(content))
        pairs.append((name.encode(), entry))
        data[shard] += content
    for shard, content in enumerate(data):
        prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}").write_bytes(content)
    table, handles = b"", []
    step = -(-len(pairs) // blocks)
    for start in range(0, len(pairs), step):
        part = block(pairs[start : start + step], kind)
        handles.append(
            (
                pairs[min(start + step, len(pairs)) - 1][0],
                varint(len(table)) + varint(len(part) - 5),
            )
        )
        table += part
    meta, index = block([]), block(handles)
    footer = varint(len(table)) + varint(len(meta) - 5)
    footer += varint(len(table) + len(meta)) + varint(len(index) - 5)
    footer = footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    index_path(prefix).write_bytes(table + meta + index + footer)


def index_path(prefix):
    return prefix.with_name(prefix.name + ".index")


VARIABLES = {
    "layer/weights": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "layer/weights/Adam": np.ones((2, 3, 4), np.float64),
    "layer/biases": np.asarray([-1, 5], np.int32),
    "layer/half": np.asarray([1.5, -2], ml_dtypes.bfloat16),
    "step": np.asarray(1 << 40, np.int64),
    "flag": np.asarray([True, False]),
    "empty": np.zeros((0, 3), np.float32),
}


@pytest.fixture
def prefix(tmp_path):
    return tmp_path / "model.ckpt-7"


@pytest.mark.parametrize("data", [b"", b"123456789", bytes(range(256)) * 5])
def test_checksum_equals_the_bitwise_definition(data):
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    crc = state ^ 0xFFFFFFFF
    expected = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert tensor_bundle.masked_checksum(data) == expected


def test_a_missing_package_is_named(prefix, monkeypatch):
    write_bundle(prefix, VARIABLES)
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    with pytest.raises(ImportError, match=r"google-crc32c: pip install .bilateral_jax\[images\]"):
        tensor_bundle.read(prefix)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("checksum", [True, False])
def test_reads_what_was_written(prefix, shards, checksum):
    write_bundle(prefix, VARIABLES, shards=shards, checksum=checksum)
    read = tensor_bundle.read(prefix)
    assert list(read) == sorted(VARIABLES)
    for name, expected in VARIABLES.items():
        assert read[name].dtype == expected.dtype and read[name].shape == expected.shape
        np.testing.assert_array_equal(read[name], expected)


def test_finds_a_checkpoint_by_prefix_index_or_folder(prefix):
    write_bundle(prefix, VARIABLES)
    for source in (prefix, str(prefix), index_path(prefix), prefix.parent):
        assert tensor_bundle.find(source) == prefix
    write_bundle(prefix.with_name("model.ckpt-9"), VARIABLES)
    with pytest.raises(ValueError, match=r"several checkpoints \(model.ckpt-7, model.ckpt-9\)"):
        tensor_bundle.find(prefix.parent)
    others = 'all_model_checkpoint_paths: "model.ckpt-7"\n'
    named = 'model_checkpoint_path: "/elsewhere/model.ckpt-9"\n'
    (prefix.parent / "checkpoint").write_text(others + named)
    assert tensor_bundle.find(prefix.parent).name == "model.ckpt-9"


@pytest.mark.parametrize(
    "folder, prefix_, count, parameters",
    [("can24", "L0_smoothing/model.ckpt", 120, 112_043), ("dped", "iphone_orig", 40, 401_475)],
)
def test_real_checkpoints(folder, prefix_, count, parameters):
    read = tensor_bundle.read(assets.path(folder) / prefix_)
    assert len(read) == count
    assert sum(array.size for array in read.values()) == parameters
    assert all(np.isfinite(array).all() and array.dtype == np.float32 for array in read.values())
    if folder == "can24":
        assert read["g_conv2/weights"].shape == (3, 3, 24, 24)
        np.testing.assert_array_equal(read["g_conv2/BatchNorm/moving_variance"], 1)


@pytest.mark.parametrize("keep", [0, 20, 47, -1])
def test_a_truncated_index_is_named(prefix, keep):
    write_bundle(prefix, VARIABLES)
    content = index_path(prefix).read_bytes()
    index_path(prefix).write_bytes(content[:keep])
    with pytest.raises(
        ValueError, match=r"model.ckpt-7.index cannot be read as a checkpoint index"
    ):
        tensor_bundle.read(prefix)


def test_every_damaged_byte_of_an_index_is_noticed(prefix):
    write_bundle(prefix, {"w": np.ones(3, np.float32)})
    content = index_path(prefix).read_bytes()
    footer = len(content) - 48
    for at in range(footer):
        if at in range(footer - 40, footer):
            continue  # the empty meta index is not read
        broken = bytearray(content)
        broken[at] ^= 0x10
        index_path(prefix).write_bytes(bytes(broken))
        with pytest.raises(ValueError, match="index cannot be read"):
            tensor_bundle.read(prefix)


def test_damaged_data_are_named(prefix):
    write_bundle(prefix, VARIABLES, shards=2)
    path = prefix.with_name("model.ckpt-7.data-00001-of-00002")
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(
        ValueError, match=r"data-00001-of-00002 is truncated: variable layer/weights"
    ):
        tensor_bundle.read(prefix)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(
        ValueError, match=r"data-00001-of-00002 is damaged: the checksum of variable"
    ):
        tensor_bundle.read(prefix)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks its data file .*data-00001-of-00002"):
        tensor_bundle.read(prefix)


def test_what_is_not_supported_says_so(prefix):
    write_bundle(prefix, VARIABLES, kind=1)
    with pytest.raises(ValueError, match=r"\.index .*compressed \(snappy\)"):
        tensor_bundle.read(prefix)
    write_bundle(prefix, VARIABLES, header=field(2, 1))
    with pytest.raises(ValueError, match="big-endian"):
        tensor_bundle.read(prefix)


def test_a_missing_checkpoint_is_named(tmp_path):
    (tmp_path / "weights.png").touch()
    with pytest.raises(ValueError, match="weights.png is not a file of weights"):
        tensor_bundle.read(tmp_path / "weights.png")
    with pytest.raises(FileNotFoundError, match=r"no TensorFlow checkpoint at .*model.ckpt"):
        tensor_bundle.read(tmp_path / "model.ckpt")
    with pytest.raises(FileNotFoundError, match="has no .index file"):
        tensor_bundle.read(tmp_path)

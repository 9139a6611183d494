"""Tensors of a file that PyTorch saved, read without PyTorch.

Such a file is a pickle and the tensors' bytes: in a zip archive since PyTorch 1.6, concatenated in
one file before (the VGGs of torchvision are of the old kind). A pickle can run any code when it is
read; here it can only name the few types that a dictionary of tensors consists of.
"""

import collections
import io
import pathlib
import pickle
import struct
import zipfile
from typing import Any, NamedTuple

import numpy as np

_DTYPES = {
    "torch DoubleStorage": np.dtype("<f8"),
    "torch FloatStorage": np.dtype("<f4"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch LongStorage": np.dtype("<i8"),
    "torch IntStorage": np.dtype("<i4"),
    "torch ByteStorage": np.dtype("u1"),
}
_MAGIC = 0x1950A86A20F9469CFC6C  # the first number of a file of the old kind
_HOW = (
    "with PyTorch it can be turned into an .npz: numpy.savez(OUT, **{name: tensor.numpy() "
    'for name, tensor in torch.load(FILE, map_location="cpu").items()})'
)


class _Storage(NamedTuple):
    """A tensor's numbers, stored elsewhere in the file."""

    dtype: np.dtype
    key: str
    count: int


class _Tensor(NamedTuple):
    """A view of a storage; strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read(path) -> dict[str, np.ndarray]:
    """Reads a dictionary of tensors, such as the `state_dict` of a network.

    Args:
      path: file that `torch.save` wrote, of either kind.

    Returns:
      Name to array.

    Raises:
      FileNotFoundError: no such file.
      ValueError: no such dictionary, a type of numbers that is not known, or a damaged file.
    """
    path = pathlib.Path(path)
    content = path.read_bytes()
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):
            tensors, numbers = _from_zip(content)
        else:
            tensors, numbers = _from_stream(io.BytesIO(content))
        if not isinstance(tensors, dict):
            raise ValueError(f"it holds a {type(tensors).__name__}, not a dictionary of tensors")
        return {
            str(name): _array(tensor, numbers)
            for name, tensor in tensors.items()
            if isinstance(tensor, _Tensor)
        }
    except (
        ValueError, LookupError, TypeError, AttributeError, EOFError, struct.error,
        pickle.UnpicklingError, zipfile.BadZipFile,
    ) as error:  # fmt: skip
        reason = str(error) or type(error).__name__
        raise ValueError(f"{path} cannot be read as a PyTorch file: {reason}; {_HOW}") from error


def _from_zip(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise ValueError("the archive has no data.pkl")
        folder = names[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist():
            order = archive.read(f"{folder}byteorder")
            if order != b"little":
                raise ValueError(f"its numbers are {order.decode()}-endian")
        reader = _Unpickler(io.BytesIO(archive.read(names[0])))
        tensors = reader.load()
        numbers = {key: archive.read(f"{folder}data/{key}") for key in reader.storages}
    return tensors, numbers


def _from_stream(file):
    if _Unpickler(file).load() != _MAGIC:
        raise ValueError("it does not begin as one")
    _, system = (_Unpickler(file).load() for _ in range(2))
    if not system["little_endian"]:
        raise ValueError("its numbers are big-endian")
    reader = _Unpickler(file)
    tensors = reader.load()
    numbers = {}
    for key in _Unpickler(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        numbers[key] = file.read(count * reader.storages[key].dtype.itemsize)
    return tensors, numbers


def _array(tensor, numbers):
    storage = tensor.storage
    flat = np.frombuffer(numbers[storage.key], storage.dtype)
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides))
    if 0 not in tensor.shape and not 0 <= last < flat.size:
        raise ValueError(f"a tensor reaches beyond its {flat.size} numbers")
    if min(tensor.offset, *tensor.strides, 0) < 0:
        raise ValueError("a tensor begins before its numbers")
    strides = [each * flat.itemsize for each in tensor.strides]
    view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides)
    return view.astype(storage.dtype.newbyteorder("="))


class _Unpickler(pickle.Unpickler):
    """Unpickles dictionaries, tensors and their storages, and nothing else."""

    def __init__(self, file):
        super().__init__(file)
        self.storages = {}

    def find_class(self, module, name) -> Any:
        """Looks up a name of the pickle."""
        full = f"{module} {name}"
        if full in _DTYPES:
            return _DTYPES[full]
        known = {
            "collections OrderedDict": collections.OrderedDict,
            "torch._utils _rebuild_tensor_v2": _tensor,
            "torch._utils _rebuild_parameter": _parameter,
        }
        if full not in known:
            raise ValueError(f"it asks for {module}.{name}, which no dictionary of tensors needs")
        return known[full]

    def persistent_load(self, pid) -> _Storage:
        """Records a storage."""
        kind, dtype, key, _, count = pid[:5]
        if kind != "storage" or (len(pid) > 5 and pid[5] is not None):
            raise ValueError(f"unknown reference {kind!r}")
        self.storages[key] = _Storage(dtype, key, count)
        return self.storages[key]


def _tensor(storage, offset, shape, strides, *unused):
    del unused  # whether a gradient is wanted, and hooks
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _parameter(tensor, *unused):
    del unused
    return tensor

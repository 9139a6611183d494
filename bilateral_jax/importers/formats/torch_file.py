"""Tensors of a file that PyTorch saved, read without PyTorch.

Such a file is a pickle and the tensors' bytes: in a zip archive since PyTorch 1.6, concatenated in
one file before (the VGGs of torchvision are of the old kind).
"""

import io
import math
import pathlib
import struct
import zipfile

import numpy as np

from bilateral_jax.importers.formats import failures, torch_pickle

_MAGIC = 0x1950A86A20F9469CFC6C  # the first number of a file of the old kind
_MOST_NAMES = 100_000
_HOW = (
    "with PyTorch it can be turned into an .npz: numpy.savez(OUT, **{name: tensor.numpy() "
    'for name, tensor in torch.load(FILE, map_location="cpu").items()})'
)


def read(path) -> dict[str, np.ndarray]:
    """Reads a dictionary of tensors, such as the `state_dict` of a network.

    Args:
      path: file that `torch.save` wrote, of either kind.

    Returns:
      Name to array: read-only views of the file's bytes. Dictionaries inside the dictionary give
      joined names, such as "0.LUT".

    Raises:
      FileNotFoundError: no such file.
      ValueError: no such dictionary, a type of numbers that is not known, a tensor larger than its
        numbers in the file, or a damaged file.
    """
    path = pathlib.Path(path)
    with failures.named(path, "a PyTorch file", advice=_HOW):
        content = path.read_bytes()
        if zipfile.is_zipfile(io.BytesIO(content)):
            tensors, numbers = _from_zip(content)
        else:
            tensors, numbers = _from_stream(content)
        if not isinstance(tensors, dict):
            raise ValueError(f"it holds a {type(tensors).__name__}, not a dictionary of tensors")
        return {
            name: _array(tensor, numbers)
            for name, tensor in _flattened(tensors)
            if isinstance(tensor, torch_pickle.Tensor)
        }


def _flattened(tensors):
    """Pairs (name, value) of a dictionary of tensors and of dictionaries of these.

    No deeper: a file can hold a dictionary that contains itself, or one a million times.
    """
    found = {}
    for name, value in tensors.items():
        inner = value.items() if isinstance(value, dict) else ()
        found[str(name)] = value
        found |= {f"{name}.{key}": each for key, each in inner}
        if len(found) > _MOST_NAMES:
            raise ValueError(f"it holds more than {_MOST_NAMES} names")
    return found.items()


def _from_zip(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(member.file_size for member in archive.infolist()) > len(content):
            raise ValueError("its archive claims more bytes than the file has, or is compressed")
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise ValueError("the archive has no data.pkl")
        folder = names[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist():
            order = archive.read(f"{folder}byteorder")
            if order != b"little":
                raise ValueError(f"its numbers are {order.decode()}-endian")
        reader = torch_pickle.Reader()
        tensors = reader.load(io.BytesIO(archive.read(names[0])))
        numbers = {key: archive.read(f"{folder}data/{key}") for key in reader.storages}
    return tensors, numbers


def _from_stream(content):
    file = io.BytesIO(content)
    if torch_pickle.Reader().load(file) != _MAGIC:
        raise ValueError("it does not begin as one")
    _, system = (torch_pickle.Reader().load(file) for _ in range(2))
    if not system["little_endian"]:
        raise ValueError("its numbers are big-endian")
    reader = torch_pickle.Reader()
    tensors = reader.load(file)
    numbers = {}
    for key in torch_pickle.Reader().load(file):
        (count,) = struct.unpack("<q", file.read(8))
        size = count * reader.storages[key].dtype.itemsize
        if not 0 <= size <= len(content) - file.tell():
            raise ValueError(f"it has {len(content) - file.tell()} bytes left, and needs {size}")
        numbers[key] = file.read(size)
    return tensors, numbers


def _array(tensor, numbers):
    storage, shape, strides = tensor.storage, tensor.shape, tensor.strides
    flat = np.frombuffer(numbers[storage.key], storage.dtype)
    if min(tensor.offset, *shape, *strides, 0) < 0:
        raise ValueError("a tensor begins before its numbers")
    last = tensor.offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    # More elements than numbers: a view that repeats them, of any size.
    if math.prod(shape) and (last >= flat.size or math.prod(shape) > flat.size):
        raise ValueError(f"a tensor of shape {shape} reaches beyond its {flat.size} numbers")
    if not math.prod(shape):
        return np.zeros(shape, storage.dtype.newbyteorder("="))
    steps = [each * flat.itemsize if n > 1 else 0 for n, each in zip(shape, strides, strict=True)]
    view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], shape, steps, writeable=False)
    return view.astype(storage.dtype.newbyteorder("="), copy=False)

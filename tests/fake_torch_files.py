"""Files as PyTorch saves them, of both kinds, written without PyTorch."""

import collections
import io
import pickle
import struct
import sys
import types
import zipfile

import numpy as np

_STORAGES = {"<f4": "FloatStorage", "<f2": "HalfStorage", "<i8": "LongStorage"}
_SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}


def write(path, arrays, *, zipped, transposed=()):
    """Writes a `state_dict`.

    Args:
      path: the file.
      arrays: name to array, or to a dictionary of them.
      zipped: the kind since PyTorch 1.6, else the one before.
      transposed: names of matrices to store by columns, as views of their transpose.
    """
    torch, storages = _modules(), []

    def stored(name, array):
        if isinstance(array, dict):
            return {key: stored(key, each) for key, each in array.items()}
        return _Tensor(torch, storages, np.asarray(array), name in transposed)

    tensors = collections.OrderedDict((name, stored(name, each)) for name, each in arrays.items())
    tensors._metadata = collections.OrderedDict()  # as a state_dict has it
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules.update({"torch": torch, "torch._utils": torch._utils})
    try:
        content = io.BytesIO()
        pickler = _Pickler(content, torch, zipped)
        pickler.dump(tensors)
    finally:
        for name, module in before.items():
            sys.modules.pop(name) if module is None else sys.modules.update({name: module})
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", content.getvalue())
            archive.writestr("archive/byteorder", "little")
            for number, flat in enumerate(storages):
                archive.writestr(f"archive/data/{number}", flat.tobytes())
        return
    with open(path, "wb") as file:
        for each in (0x1950A86A20F9469CFC6C, 1001, _SYSTEM):
            pickle.dump(each, file, protocol=2)
        file.write(content.getvalue())
        pickle.dump([str(number) for number in range(len(storages))], file, protocol=2)
        for flat in storages:
            file.write(struct.pack("<q", flat.size) + flat.tobytes())


class _Storage:
    def __init__(self, torch, number, flat):
        self.kind = getattr(torch, _STORAGES[flat.dtype.newbyteorder("<").str])
        self.number, self.flat = number, flat


class _Tensor:
    def __init__(self, torch, storages, array, transposed):
        flat = np.concatenate([[7], (array.T if transposed else array).reshape(-1)])  # offset 1
        self.storage = _Storage(torch, len(storages), flat.astype(array.dtype))
        storages.append(self.storage.flat)
        strides = np.cumprod([1, *array.T.shape[:-1]])[::-1] if array.ndim else ()
        strides = [1, array.shape[0]] if transposed else [int(s) for s in strides]
        hooks = collections.OrderedDict()
        self.call = torch._utils._rebuild_tensor_v2
        self.state = (self.storage, 1, array.shape, tuple(strides), False, hooks)

    def __reduce__(self):
        return self.call, self.state


class _Pickler(pickle.Pickler):
    def __init__(self, file, torch, zipped):
        super().__init__(file, protocol=2)
        self._tail = () if zipped else (None,)

    def persistent_id(self, obj):
        if isinstance(obj, _Storage):
            return ("storage", obj.kind, str(obj.number), "cpu", obj.flat.size, *self._tail)
        return None


def _modules():
    """A `torch` with nothing in it but what a pickle names."""
    torch, parts = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2():
        raise AssertionError("only its name is written")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    parts._rebuild_tensor_v2 = _rebuild_tensor_v2
    torch._utils = parts
    for name in _STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    return torch

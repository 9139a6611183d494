"""The pickle of a dictionary of tensors, interpreted without `pickle`.

A pickle can run any code when it is read, and a short one can ask for any amount of memory or time.
Here its operations are carried out by a table that knows dictionaries, tensors, and what these
consist of; everything else is refused.
"""

import collections
import pickletools
from typing import NamedTuple

import numpy as np

DTYPES = {
    "torch DoubleStorage": np.dtype("<f8"),
    "torch FloatStorage": np.dtype("<f4"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch LongStorage": np.dtype("<i8"),
    "torch IntStorage": np.dtype("<i4"),
    "torch ByteStorage": np.dtype("u1"),
}
_MARK = object()


class Storage(NamedTuple):
    """A tensor's numbers, stored elsewhere in the file."""

    dtype: np.dtype
    key: str
    count: int


class Tensor(NamedTuple):
    """A view of a storage; strides count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Reader:
    """Reads one pickle.

    Attributes:
      storages: key to `Storage`, of all that the pickle refers to.
    """

    def __init__(self):
        self.storages: dict[str, Storage] = {}
        self._stack: list = []
        self._memo: dict = {}

    def load(self, file):
        """Reads the next pickle of a binary file.

        Args:
          file: binary file, left behind the pickle.

        Returns:
          What it holds: dictionaries, lists, tuples, strings, numbers, `Tensor`s.

        Raises:
          ValueError: damaged, or something that no dictionary of tensors needs. Damage also
            raises what it happens to cause.
        """
        for operation, argument, _ in pickletools.genops(file):
            if operation.name == "STOP":
                return self._stack.pop()
            self._run(operation.name, argument)
        raise ValueError("its pickle does not end")

    def _run(self, name, argument):
        stack = self._stack
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name in _VALUES:
            stack.append(argument)
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self._memo[argument])
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            stack.append(tuple(reversed([stack.pop() for _ in range(int(name[-1]))])))
        elif name == "TUPLE":
            stack.append(tuple(self._marked()))
        elif name in ("SETITEM", "SETITEMS"):
            values = (
                self._marked() if name == "SETITEMS" else [*reversed([stack.pop(), stack.pop()])]
            )
            _set(stack[-1], zip(values[::2], values[1::2], strict=True))
        elif name in ("APPEND", "APPENDS"):
            values = self._marked() if name == "APPENDS" else [stack.pop()]
            _of(list, stack[-1]).extend(values)
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            if name == "STACK_GLOBAL":
                argument = " ".join(reversed([_of(str, stack.pop()) for _ in range(2)]))
            stack.append(_known(argument))
        elif name == "REDUCE":
            arguments = _of(tuple, stack.pop())
            stack.append(_called(stack.pop(), arguments))
        elif name == "BUILD":  # the attributes of an OrderedDict: versions of layers
            stack.pop()
            _of(dict, stack[-1])
        elif name not in ("PROTO", "FRAME"):
            raise ValueError(f"it uses {name}, which no dictionary of tensors needs")

    def _marked(self):
        values = []
        while (value := self._stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def _storage(self, reference):
        kind, dtype, key, _, count = _of(tuple, reference)[:5]
        if _of(str, kind) != "storage" or (len(reference) > 5 and reference[5] is not None):
            raise ValueError(f"unknown reference {kind!r}")
        storage = Storage(_of(np.dtype, dtype), _of(str, key), _of(int, count))
        self.storages[storage.key] = storage
        return storage


_CONSTANTS = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "MARK": lambda: _MARK,
}
_VALUES = {
    "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT",
    "BINUNICODE", "SHORT_BINUNICODE", "UNICODE", "BINSTRING", "SHORT_BINSTRING", "STRING",
}  # fmt: skip


def _of(kind, value):
    if not isinstance(value, kind):
        raise ValueError(f"it has a {type(value).__name__} in place of a {kind.__name__}")
    return value


def _set(target, items):
    target = _of(dict, target)
    for key, value in items:
        # The hash of nested tuples can take for ever.
        if not isinstance(key, str | int):
            raise ValueError(f"a key is a {type(key).__name__}, not a name")
        target[key] = value


def _known(name):
    if name in DTYPES:
        return DTYPES[name]
    if name not in _FUNCTIONS:
        raise ValueError(
            f"it asks for {name.replace(' ', '.')}, which no dictionary of tensors needs"
        )
    return _FUNCTIONS[name]


def _called(function, arguments):
    if function not in _FUNCTIONS.values():
        raise ValueError("it calls what is no function")
    return function(*arguments)


def _ordered(items=()):
    found = collections.OrderedDict()
    _set(found, (_pair(item) for item in _of(list | tuple, items)))
    return found


def _pair(item):
    key, value = _of(list | tuple, item)
    return key, value


def _tensor(storage, offset, shape, strides, *unused):
    del unused  # whether a gradient is wanted, and hooks
    shape, strides = (tuple(_of(int, n) for n in _of(tuple, x)) for x in (shape, strides))
    if len(shape) != len(strides) or len(shape) > 32:
        raise ValueError(f"a tensor has {len(shape)} axes and {len(strides)} strides")
    return Tensor(_of(Storage, storage), _of(int, offset), shape, strides)


def _parameter(tensor, *unused):
    del unused
    return _of(Tensor, tensor)


_FUNCTIONS = {
    "collections OrderedDict": _ordered,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": _parameter,
}

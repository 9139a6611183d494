"""The convolutions of MatConvNet's `.mat` files (MATLAB's format 5), by SciPy.

SciPy allocates what a file claims, and recurses as deep as it nests. So the claims of all elements
are compared with the file's bytes before.
"""

import math
import pathlib
import struct
import zlib

import numpy as np

from bilateral_jax.importers.formats import failures

_COMPRESSED, _MATRIX = 15, 14
_CELL, _STRUCT, _OBJECT, _SPARSE = 1, 2, 3, 5
_OTHER = 16  # functions, and objects of other programs: of no fixed layout
_DEEPEST = 32
_HEADER = 128


def read_convolutions(path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Reads kernel and bias of every 3 x 3 convolution of `layers`, in order.

    Args:
      path: the file.

    Returns:
      (kernel, bias) of each, as stored.

    Raises:
      FileNotFoundError: no such file.
      ValueError: the file cannot be read, holds no `layers`, or claims more than its bytes hold.
    """
    import scipy.io

    path = pathlib.Path(path)
    with failures.named(path, "MatConvNet's layers"):
        _check(path.read_bytes())
        with open(path, "rb") as file:
            entries = scipy.io.loadmat(file, variable_names=["layers"])["layers"].reshape(-1)
        pairs = [_pair(entry.reshape(-1)[0]) for entry in entries]
        return [(k, b) for k, b in filter(None, pairs) if k.ndim == 4 and k.shape[:2] == (3, 3)]


def _pair(record):
    """The two arrays of a layer; None if it has others."""
    fields = record.dtype.names or ()
    if "weights" in fields:
        pair = [np.asarray(x) for x in np.asarray(record["weights"]).reshape(-1)]
    elif "filters" in fields:  # files of 2014
        pair = [np.asarray(record["filters"]), np.asarray(record["biases"])]
    else:
        return None
    if len(pair) == 1 and pair[0].dtype == object:
        pair = list(pair[0].reshape(-1))
    return tuple(pair) if len(pair) == 2 else None


def _check(content):
    """Compares what the elements of a file claim with its bytes."""
    if len(content) < _HEADER or content[126:128] != b"IM":
        raise ValueError("it is no MATLAB file of format 5 in little-endian order")
    at = _HEADER
    while at < len(content):
        kind, start, end, at = _element(content, at, len(content), padded=False)
        if kind == _COMPRESSED:
            inner = zlib.decompressobj()
            # Weights hardly get smaller.
            limit = max(1 << 24, 20 * len(content))
            expanded = inner.decompress(content[start:end], limit)
            if inner.unconsumed_tail:
                raise ValueError(f"a compressed element expands to more than {limit} bytes")
            _check_matrices(expanded)
        elif kind == _MATRIX:
            _check_matrices(memoryview(content)[start - 8 : end])


def _check_matrices(content):
    """Compares sizes of arrays with their bytes, for a matrix and all in it."""
    kind, start, end, _ = _element(content, 0, len(content))
    matrices = [(start, end, 0)] if kind == _MATRIX else []
    while matrices:
        at, end, depth = matrices.pop()
        if depth > _DEEPEST:
            raise ValueError(f"its arrays nest deeper than {_DEEPEST}")
        if at < end:  # else an empty array
            at = _check_claims(content, at, end)
        while at < end:
            kind, first, last, at = _element(content, at, end)
            if kind == _MATRIX:
                matrices.append((first, last, depth + 1))


def _check_claims(content, at, end):
    """Checks the sizes of one array; returns the first byte of its content."""
    _, flags, _, at = _element(content, at, end)
    kind = content[flags]
    if kind >= _OTHER:
        return at
    _, first, last, at = _element(content, at, end)
    sizes = struct.unpack(f"<{(last - first) // 4}i", content[first : last - (last - first) % 4])
    _, _, _, at = _element(content, at, end)  # the name
    if kind == _OBJECT:
        _, _, _, at = _element(content, at, end)
    least = 8 if kind == _CELL else 1 / 8
    if kind in (_STRUCT, _OBJECT):
        _, first, _, at = _element(content, at, end)
        (longest,) = struct.unpack("<i", content[first : first + 4])
        _, first, last, at = _element(content, at, end)
        least = 8 * max(1, (last - first) // max(longest, 1))
    claimed = least * math.prod(sizes)
    if min(sizes, default=0) < 0 or (kind != _SPARSE and claimed > end - at):
        raise ValueError(f"an array of {sizes} elements has {end - at} bytes")
    return at


def _element(content, at, end, *, padded=True):
    """(type, first byte, byte behind the last, next element) of the element at a byte."""
    if at + 8 > end:
        raise ValueError(f"it is cut short at byte {at}")
    kind, size = struct.unpack("<II", content[at : at + 8])
    if kind >> 16:  # up to four bytes, in the tag itself
        return kind & 0xFFFF, at + 4, at + 4 + min(kind >> 16, 4), at + 8
    if size > end - at - 8:
        raise ValueError(f"an element at byte {at} claims {size} bytes, of {end - at - 8}")
    behind = at + 8 + size
    return kind, at + 8, behind, behind + (-size % 8 if padded else 0)

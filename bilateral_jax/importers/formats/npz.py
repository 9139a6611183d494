"""NumPy's `.npz` archives, whose arrays are read when they are asked for."""

import functools
import math
import pathlib
import zipfile

import numpy as np

from bilateral_jax.importers.formats import failures, stored

_KIND = "an .npz file"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read(path) -> dict[str, stored.StoredArray]:
    """Reads names, shapes and dtypes of the arrays; text is left out.

    Args:
      path: file that `numpy.savez` or `numpy.savez_compressed` wrote.

    Returns:
      Name to array, not yet read; a damaged one is a `ValueError` then.

    Raises:
      FileNotFoundError: no such file.
      ValueError: the file cannot be read, holds objects, or claims more than its bytes can hold.
    """
    path = pathlib.Path(path)
    with failures.named(path, _KIND), zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
        length = path.stat().st_size
        if sum(member.compress_size for member in members) > length:
            raise ValueError("its members overlap")
        found = {}
        for member in members:
            shape, dtype = _header(archive, member)
            if dtype.kind not in "US":
                load = functools.partial(_load, path, member.filename)
                found[member.filename.removesuffix(".npy")] = stored.StoredArray(
                    member.filename, shape, dtype, size=member.compress_size, load=load
                )
        return found


def _header(archive, member):
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"{member.filename} has the unknown version {version}")
        shape, _, dtype = _HEADERS[version](file)
    if math.prod(shape) * dtype.itemsize > member.file_size:
        raise ValueError(
            f"{member.filename} of shape {shape} is larger than its {member.file_size} bytes"
        )
    return shape, dtype


def _load(path, name):
    with failures.named(path, _KIND), zipfile.ZipFile(path) as archive, archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)

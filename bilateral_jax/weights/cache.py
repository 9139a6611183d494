"""The folder of downloaded weights, and an entry's files in it: from the network or from a disk.

`CACHE/NAME-REVISION/` holds an entry's files under their own names, and `model`, the imported
network. The revision is the commit's, so that a new one never meets files of the old.
"""

import os
import pathlib
import shutil
from collections.abc import Callable, Sequence

from bilateral_jax import atomic
from bilateral_jax.weights import catalogue, download
from bilateral_jax.weights import entry as entry_lib


def folder(*, chosen: str | os.PathLike | None = None) -> pathlib.Path:
    """Determines the folder of downloaded weights; creates nothing.

    Args:
      chosen: a folder; None for the platform's folder for caches (`~/.cache/bilateral_jax/weights`
        on Linux).

    Returns:
      The folder.

    Raises:
      ImportError: none is given, and platformdirs is not installed.
    """
    if chosen:
        return pathlib.Path(chosen).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("bilateral_jax", appauthor=False) / "weights"


def entry_folder(entry: entry_lib.Entry, cache: str | os.PathLike) -> pathlib.Path:
    """Names the folder of an entry in the cache.

    Args:
      entry: of the catalogue.
      cache: as `folder` returns it.
    """
    return pathlib.Path(cache) / f"{entry.name}-{entry.revision}"


def fetch(
    entry: entry_lib.Entry,
    cache: str | os.PathLike,
    *,
    progress: Callable[[int], object] | None = None,
) -> dict[str, pathlib.Path]:
    """Downloads the files of an entry that are not in the cache.

    Args:
      entry: of the catalogue.
      cache: as `folder` returns it.
      progress: as for `download.file`.

    Returns:
      Name of the importer's argument -> file.

    Raises:
      ConnectionError, ValueError, OSError: as `download.file`.
    """
    within = entry_folder(entry, cache)
    for file in entry.files:
        download.file(
            entry.address(file),
            within / file.name,
            sha256=file.sha256,
            size=file.size,
            progress=progress,
        )
    return _arguments(entry, within)


def copy(
    entry: entry_lib.Entry, cache: str | os.PathLike, sources: Sequence[str | os.PathLike]
) -> dict[str, pathlib.Path]:
    """Copies the files of an entry from a disk into the cache.

    Args:
      entry: of the catalogue.
      cache: as `folder` returns it.
      sources: the files, in any order, or folders that hold them; of files with fixed names in one
        folder (TensorFlow's), one is enough. A file is recognised by its checksum, whatever its
        name; one whose checksum is not known by its name, or by being the only one, unless it has
        the checksum of another entry.

    Returns:
      Name of the importer's argument -> file.

    Raises:
      ValueError: a file is missing, or has another checksum or size; it is named.
      OSError: a file cannot be read or written.
    """
    candidates = _candidates(entry, sources)
    chosen = [_choose(entry, file, candidates) for file in entry.files]
    within = entry_folder(entry, cache)
    within.mkdir(parents=True, exist_ok=True)
    for file, source in zip(entry.files, chosen, strict=True):
        if source.resolve() != (within / file.name).resolve():
            with atomic.file(within / file.name) as scratch:
                shutil.copyfile(source, scratch)
    return _arguments(entry, within)


def remove_files(entry: entry_lib.Entry, cache: str | os.PathLike) -> None:
    """Removes the files of an entry from the cache; an imported network stays.

    Args:
      entry: of the catalogue.
      cache: as `folder` returns it.
    """
    for file in entry.files:
        (entry_folder(entry, cache) / file.name).unlink(missing_ok=True)


def _arguments(entry, within):
    return {file.argument: within / file.name for file in entry.files if file.argument}


def _candidates(entry, sources):
    """The files given, those in the folders given, and the entry's other files beside them."""
    found = []
    for source in map(pathlib.Path, sources):
        if source.is_dir():
            found += sorted(path for path in source.iterdir() if path.is_file())
        else:
            beside = [source.parent / file.name for file in entry.files]
            found += [source, *(path for path in beside if path.is_file())]
    return list(dict.fromkeys(found))


def _without_others(entry, file, candidates):
    """The candidates but for those whose checksum is that of another file of the catalogue."""
    owners = {path: _owner(path) for path in candidates}
    if candidates and all(owners.values()):
        path, (other, known) = next(iter(owners.items()))
        raise ValueError(
            f"{path} is the file {known.path} of {other.name}, expected {file.path} of {entry.name}"
        )
    return [path for path in candidates if not owners[path]]


def _owner(path):
    """The entry and its file whose checksum a local file has; None without."""
    for entry in catalogue.ENTRIES:
        for file in entry.files:
            if file.sha256 and download.matches(path, sha256=file.sha256, size=file.size):
                return entry, file
    return None


def _choose(entry, file, candidates):
    """The candidate that is a file of the entry."""
    fits = [p for p in candidates if download.matches(p, sha256=file.sha256, size=file.size)]
    if file.sha256 is None:
        named = [path for path in fits if path.name == file.name]
        fits = named or (fits if len(entry.files) == len(candidates) == 1 else [])
        fits = _without_others(entry, file, fits)
    if fits:
        return fits[0]
    expected = f"the name {file.name}" if file.sha256 is None else f"the SHA-256 {file.sha256}"
    if file.size is not None:
        expected += f" and {file.size:,} bytes"
    one = len(candidates) == 1
    fault = f"{candidates[0]} is not" if one else f"none of the {len(candidates)} files given is"
    raise ValueError(f"{fault} the file {file.name} of {entry.name}, expected {expected}")

"""Networks of the catalogue of weights: downloaded, imported, kept in the user's cache folder."""

import os
import pathlib
import shlex
import sys
import urllib.parse

from bilateral_jax import atomic
from bilateral_jax.checkpoints import networks, trees
from bilateral_jax.cli import errors, import_weights
from bilateral_jax.weights import cache as cache_lib
from bilateral_jax.weights import catalogue
from bilateral_jax.weights import entry as entry_lib

VARIABLE = "BILATERAL_JAX_WEIGHTS_CACHE"  # of the environment: the folder of downloads


def find_enhancer(name: str) -> entry_lib.Entry:
    """Looks up a network of the catalogue that enhances photos.

    Args:
      name: of the entry.

    Returns:
      The entry.

    Raises:
      ValueError: there is none of that name, or it does something else.
    """
    entry = catalogue.find(name)
    if not entry.enhances:
        names = ", ".join(each.name for each in catalogue.ENTRIES if each.enhances)
        raise ValueError(
            f"--weights {name} does not enhance photos ({entry.purpose}), expected one of: {names}"
        )
    return entry


def find(weights, step, network) -> entry_lib.Entry | None:
    """Looks up the network of the options `--weights`, `--step` and `--network`, before the work.

    Args:
      weights: name of an entry, or None.
      step: of a checkpoint; must be None with `weights`.
      network: likewise.

    Returns:
      The entry, or None without `weights`.

    Raises:
      ValueError: as `find_enhancer`, or `step` or `network` is given, too.
    """
    if weights is None:
        return None
    if step is not None or network is not None:
        raise ValueError("--step and --network choose from a --checkpoint; --weights has none")
    return find_enhancer(weights)


def get(entry, *, sources=None, cache=None, out=None) -> pathlib.Path:
    """Downloads and imports a network, unless that was done before; a damaged one is made again.

    Args:
      entry: of the catalogue.
      sources: local files in place of a download; None downloads.
      cache: folder of downloaded weights; None for that of the environment variable
        `BILATERAL_JAX_WEIGHTS_CACHE`, else the user's.
      out: folder to create for the checkpoint; None for one in the cache.

    Returns:
      The checkpoint's folder.

    Raises:
      ConnectionError: the files cannot be downloaded; the message says what to do.
      ValueError: a wrong checksum or size, files that the importer refuses, or `out` holds files.
      OSError: files cannot be read or written.
    """
    cache = cache_lib.folder(chosen=cache or os.environ.get(VARIABLE))
    target = cache_lib.entry_folder(entry, cache) / "model" if out is None else pathlib.Path(out)
    if out is not None:
        import_weights.check_target(target)
    elif sources is None and _holds_network(target, entry):
        return target
    atomic.check_folder(cache)
    if entry.publication.kind == "nima":
        import h5py  # noqa: F401  a missing package is named before the download
    if not entry.verified:
        print(f"{entry.name}: not verified, its checksum is not known", file=sys.stderr)
    if sources is None:
        files = _download(entry, cache)
    else:
        files = cache_lib.copy(entry, cache, sources)
    target.parent.mkdir(parents=True, exist_ok=True)
    load = import_weights.loader(entry.publication.kind)
    try:
        with atomic.folder(target) as scratch:
            what = import_weights.convert(
                load, target=scratch, origin=entry.address(entry.files[0]), **files
            )
    except ValueError as error:
        if entry.verified:
            raise
        cache_lib.remove_files(entry, cache)  # a page of an access point, say; it is not kept
        if sources is None:
            raise
        given = " ".join(str(source) for source in sources)
        raise ValueError(f"{given}: these are no weights of {entry.name}: {error}") from None
    print(f"{entry.name}: imported, {what}", file=sys.stderr)
    return target


def get_for_photos(entry) -> pathlib.Path:
    """Downloads and imports a network as `get`, and prints what goes wrong with usual photos.

    Args:
      entry: of the catalogue.

    Returns:
      The checkpoint's folder.

    Raises:
      ConnectionError, ValueError, OSError: as `get`.
    """
    path = get(entry)
    if entry.caution:
        errors.print_line(f"{entry.name}: {entry.caution}")
    return path


def _holds_network(target, entry):
    """Whether a folder of the cache holds the imported network; damage to it is said."""
    if not trees.steps(target):
        return False
    try:
        networks.load(target, 0)
    except trees.DamagedCheckpointError as error:
        print(f"{entry.name}: {error}; it is imported again", file=sys.stderr)
        return False
    return True


def _download(entry, cache):
    host = urllib.parse.urlsplit(entry.publication.folder).hostname
    size = "" if entry.size is None else f", {entry.size / 1e6:.1f} MB"
    print(
        f"{entry.name}: {entry.publication.title} from {host}{size}; "
        f"licence: {entry.publication.licence}",
        file=sys.stderr,
    )
    import tqdm

    bar = tqdm.tqdm(
        total=entry.size, unit="B", unit_scale=True, disable=None, desc=entry.name, leave=False
    )
    try:
        with bar:
            return cache_lib.fetch(entry, cache, progress=bar.update)
    except ConnectionError as error:
        raise ConnectionError(f"{error}; {_by_hand(entry)}") from None


def _by_hand(entry):
    """What to do without a network."""
    paths = " and ".join(file.path for file in entry.files)
    names = " ".join(shlex.quote(file.name) for file in entry.files)
    return (
        f"by hand: download {paths} from {entry.publication.page} and run "
        f"bilateral-jax weights get {entry.name} --from {names}"
    )

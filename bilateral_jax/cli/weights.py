"""The command `weights`: a catalogue of published weights, and networks from it."""

import shutil
import textwrap

from bilateral_jax.cli import published_networks
from bilateral_jax.weights import catalogue

_NARROWEST, _WIDEST = 60, 120
_NOT_VERIFIED = "not verified"
# What follows the command's name in the advice, by kind of network.
_USES = {
    "vgg": "python -m experiments.train --config=configs/dped.py --config.loss.features={path}",
    "efficientnet": "python -m experiments.train --config=configs/dped.py "
    "--config.loss.features={path} --config.loss.content=200",
    "nima": "bilateral-jax score PHOTOS --checkpoint {path}",
}


def add_arguments(command):
    """Declares the arguments: `show` and `get`; without them the catalogue is listed."""
    actions = command.add_subparsers(metavar="ACTION")
    show = actions.add_parser("show", help="print everything about one entry")
    get = actions.add_parser("get", help="download and import the weights of one entry")
    for parser, function in ((show, show_entry), (get, get_entry)):
        parser.add_argument("name", metavar="NAME", help="as the catalogue lists it")
        parser.set_defaults(run=function)
    get.add_argument(
        "--from",
        dest="sources",
        nargs="+",
        metavar="FILE",
        help="files, or a folder of them, in place of a download",
    )
    get.add_argument("--out", metavar="OUT", help="folder to create (default: in the cache)")
    get.add_argument(
        "--cache",
        metavar="DIR",
        help="folder of downloads (default: the user's cache folder, or "
        f"${published_networks.VARIABLE})",
    )


def run() -> int:
    """Lists the catalogue, in lines that fit the terminal.

    Returns:
      Exit code 0.
    """
    columns = shutil.get_terminal_size().columns
    print("\n".join(_listed(max(_NARROWEST, min(columns, _WIDEST)))))
    return 0


def show_entry(name) -> int:
    """Prints everything about one entry.

    Args:
      name: of the entry.

    Returns:
      Exit code 0.

    Raises:
      ValueError: there is no such entry.
    """
    entry = catalogue.find(name)
    source = entry.publication
    rows = [
        ("name", entry.name),
        ("good for", entry.purpose),
        *([("caution", entry.caution)] if entry.caution else []),
        ("system", source.title),
        ("paper", source.paper),
        ("licence", source.licence),
        ("page", source.page),
        _revision(source),
        ("size", "not known" if entry.size is None else _size(entry.size)),
    ]
    for file in entry.files:
        rows += [
            ("address", entry.address(file)),
            ("", f"{_bytes(file.size)}, SHA-256"),
            ("", file.sha256 or f"{_NOT_VERIFIED}: none is known"),
        ]
    rows += [
        ("import", f"bilateral-jax import {source.kind}"),
        ("use", _use(entry, "PATH")),
    ]
    for title, text in rows:
        print(f"{title:9} {text}")
    return 0


def get_entry(name, *, sources, out, cache) -> int:
    """Downloads and imports the weights of one entry and prints how to use them.

    Args:
      name: of the entry.
      sources: local files in place of a download; None downloads.
      out: folder to create for the checkpoint; None for one in the cache.
      cache: folder of downloads; None for the user's.

    Returns:
      Exit code 0.

    Raises:
      ValueError: there is no such entry, or as `published_networks.get`.
      OSError: as `published_networks.get`.
    """
    entry = catalogue.find(name)
    path = published_networks.get(entry, sources=sources, cache=cache, out=out)
    print(f"checkpoint: {path}")
    found_by_name = out is None and cache is None
    print(f"use: {_use(entry, path, by_name=found_by_name)}")
    return 0


def _revision(source):
    if source.release:
        return "release", source.release
    return "commit", source.commit or f"{_NOT_VERIFIED}: none is known"


def _listed(width):
    """The lines of the catalogue: the publications, each with its entries."""
    names = max(len(entry.name) for entry in catalogue.ENTRIES)
    lines, last = [f"  {'NAME':{names}} {'SIZE':>7}  {'SHA-256':12}  GOOD FOR"], None
    for entry in catalogue.ENTRIES:
        source = entry.publication
        if source is not last:
            lines += _heading(source, width)
            last = source
        checksum = f"{entry.files[-1].sha256[:8]}..." if entry.verified else _NOT_VERIFIED
        row = f"  {entry.name:{names}} {_size(entry.size):>7}  {checksum:12}  {entry.purpose}"
        lines += textwrap.wrap(row, width, subsequent_indent=" " * 6)
    advice = (
        "weights show NAME prints addresses and whole checksums; weights get NAME downloads and "
        "imports; enhance --weights NAME does both, then enhances."
    )
    return [*lines, *textwrap.wrap(advice, width)]


def _heading(source, width):
    address = source.page.removeprefix("https://")
    if source.commit:
        repository, _, folder = address.partition(f"/tree/{source.commit}/")
        address = f"{repository} at {source.commit[:8]}, {folder.rstrip('/')}"
    texts = f"{source.title}: {source.paper}", f"  {address}; {_licence(source)}"
    return [
        line
        for t in texts
        for line in textwrap.wrap(t, width, subsequent_indent="  ", break_on_hyphens=False)
    ]


def _licence(source):
    return source.licence if "licence" in source.licence else f"licence: {source.licence}"


def _size(count):
    return "?" if count is None else f"{count / 1e6:.2f} MB"


def _bytes(count):
    return "size not known" if count is None else f"{count:,} bytes"


def _use(entry, path, *, by_name=True):
    """What a user runs next with the network."""
    if entry.enhances and by_name:
        return f"bilateral-jax enhance IN OUT --weights {entry.name}"
    if entry.enhances:
        return f"bilateral-jax enhance IN OUT --checkpoint {path}"
    if entry.publication.kind in _USES:
        return _USES[entry.publication.kind].format(path=path)
    return f"bilateral_jax.checkpoints.networks.load_model({str(path)!r}) in Python"

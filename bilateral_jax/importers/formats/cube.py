"""Colour tables as `.cube` text files, which photo and video editors exchange.

Keywords, then one line of three numbers per node; "#" begins a comment. `LUT_3D_SIZE n` announces
n^3 nodes, red fastest and blue slowest, `LUT_1D_SIZE n` one curve per channel. `DOMAIN_MIN` and
`DOMAIN_MAX` are the colours of the first and the last node, 0 and 1 if absent.

Reference: Adobe 2013, "Cube LUT specification", version 1.0. `LUT_3D_INPUT_RANGE` and
`LUT_1D_INPUT_RANGE`, with one number for all channels, are DaVinci Resolve's.
"""

import dataclasses
import itertools
import pathlib
import warnings

import numpy as np

from bilateral_jax import atomic
from bilateral_jax.importers.formats import failures

SUFFIX = ".cube"
# The specification's; 256^3 nodes are 200 MB.
LARGEST = {"LUT_3D_SIZE": 256, "LUT_1D_SIZE": 65_536}
_RANGES = ("LUT_3D_INPUT_RANGE", "LUT_1D_INPUT_RANGE")
_DOMAIN = ("DOMAIN_MIN", "DOMAIN_MAX")
_LEAST_BYTES = len("0 0 0\n")
_MOST_BYTES = 1 << 30
_LINES = 1 << 16  # parsed at a time


@dataclasses.dataclass(frozen=True)
class Table:
    """A table with the colours that it spans.

    Attributes:
      values: float32 `[n, n, n, 3]`, axes red, green, blue; or `[n, 3]`, a curve per channel.
      domain_min: colour of the first node.
      domain_max: colour of the last node.
      title: of the file, or "".
    """

    values: np.ndarray
    domain_min: tuple[float, float, float] = (0.0, 0.0, 0.0)
    domain_max: tuple[float, float, float] = (1.0, 1.0, 1.0)
    title: str = ""


def read(path) -> Table:
    """Reads a `.cube` file.

    Args:
      path: the file.

    Returns:
      The table.

    Raises:
      FileNotFoundError: no such file.
      ValueError: no size or two, one out of range, another number of lines than it announces, a
        line that is not three finite numbers, a domain that is empty in float32, or an unknown
        keyword.
    """
    path = pathlib.Path(path)
    with failures.named(path, "a .cube file"):
        length = path.stat().st_size
        if length > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES >> 20} MB")
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            keywords, lines, first = _header(file)
            kind, size = _size(keywords, length)
            count = size**3 if kind == "LUT_3D_SIZE" else size
            values = _numbers(lines, count, first)
        if kind == "LUT_3D_SIZE":
            values = values.reshape(size, size, size, 3).transpose(2, 1, 0, 3)
        low, high = _domain(keywords)
        return Table(np.ascontiguousarray(values), low, high, keywords.get("TITLE", ""))


def write(path, table: Table):
    """Writes a `.cube` file; reading it gives equal numbers.

    Args:
      path: the file.
      table: the table; 3D ones with as many nodes on each axis.

    Raises:
      ValueError: another shape or size than a file can hold, numbers that are not finite, an empty
        domain, or a title with a quotation mark or a line break.
      OSError: the file cannot be written.
    """
    values = np.asarray(table.values, np.float32)
    shape = values.shape
    kind = "LUT_3D_SIZE" if values.ndim == 4 else "LUT_1D_SIZE"
    if values.ndim not in (2, 4) or shape[-1] != 3 or len(set(shape[:-1])) != 1:
        raise ValueError(f"table.values must be [n, n, n, 3] or [n, 3], got {shape}")
    if not 2 <= shape[0] <= LARGEST[kind]:
        raise ValueError(f"table.values must have 2 to {LARGEST[kind]} nodes, got {shape[0]}")
    if not np.isfinite(values).all():
        raise ValueError("table.values must be finite numbers, got a NaN or an infinity")
    if any(character in table.title for character in '"\n\r'):
        raise ValueError(f'table.title must have no " and no line break, got {table.title!r}')
    domain = (table.domain_min, table.domain_max)
    _check_domain(*domain)
    lines = [f'TITLE "{table.title}"'] * bool(table.title) + [f"{kind} {shape[0]}"]
    if domain != (Table.domain_min, Table.domain_max):
        rows = (" ".join(f"{float(value):.9g}" for value in row) for row in domain)
        lines += [f"{name} {row}" for name, row in zip(_DOMAIN, rows, strict=True)]
    if values.ndim == 4:
        values = values.transpose(2, 1, 0, 3)
    # As text, float32 has as few digits as give the same number again.
    lines += [" ".join(row) for row in values.reshape(-1, 3).astype(str)]
    atomic.write_text(path, "\n".join(lines) + "\n")


def _header(file):
    """The keywords `{name: rest of the line}`, the lines behind them and the first one's number."""
    keywords, number = {}, 0
    for number, line in enumerate(file, 1):
        name, *rest = line.split(maxsplit=1) or [""]
        if not name or name.startswith("#"):
            continue
        if not name[0].isalpha() or name.lower() in ("nan", "inf", "infinity"):
            return keywords, itertools.chain([line], file), number
        _store(keywords, name.upper(), "".join(rest).strip())
    return keywords, iter(()), number + 1


def _store(keywords, name, rest):
    known = ("TITLE", *LARGEST, *_DOMAIN, *_RANGES)
    if name not in known:
        raise ValueError(f"it has the keyword {name[:40]!r}; known are {', '.join(known)}")
    if name in keywords:
        raise ValueError(f"it has {name} twice")
    keywords[name] = rest.strip('"') if name == "TITLE" else rest.split("#")[0].strip()


def _size(keywords, length):
    """The kind of table and its number of nodes, checked against the file's length in bytes."""
    kinds = [name for name in LARGEST if name in keywords]
    if len(kinds) != 1:
        found = "both" if kinds else "neither"
        raise ValueError(f"it must have one of {' and '.join(LARGEST)}, and has {found}")
    (kind,) = kinds
    text = keywords[kind]
    if not text.isascii() or not text.isdigit() or not 2 <= int(text[:9]) <= LARGEST[kind]:
        raise ValueError(f"{kind} must be an int from 2 to {LARGEST[kind]}, got {text[:40]!r}")
    size = int(text)
    count = size**3 if kind == "LUT_3D_SIZE" else size
    if length < count * _LEAST_BYTES - 1:
        raise ValueError(f"{kind} {size} announces {count} lines, which {length} bytes cannot hold")
    return kind, size


def _numbers(lines, count, first):
    """The table's nodes `[count, 3]`; `first` is the number of the first line in the file."""
    parts, found = [np.zeros((0, 3), np.float32)], 0
    while found <= count and (batch := list(itertools.islice(lines, _LINES))):
        parts.append(_parsed(batch, first))
        found, first = found + len(parts[-1]), first + len(batch)
    if found != count:
        has = "more" if found > count else found
        raise ValueError(f"its size announces {count} lines of 3 numbers, it has {has}")
    return np.concatenate(parts)


def _parsed(lines, first):
    """The numbers of some lines, `[rows, 3]`; a wrong line is found by parsing each alone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "loadtxt: input contained no data")
        try:
            values = np.loadtxt(lines, np.float32, comments="#", ndmin=2)
        except ValueError:
            values = None
    if values is not None and not values.size:
        return np.zeros((0, 3), np.float32)
    if values is not None and values.shape[1] == 3 and np.isfinite(values).all():
        return values
    if len(lines) == 1:
        raise ValueError(
            f"line {first} must be three finite numbers, got {lines[0].strip()[:40]!r}"
        )
    parts = [_parsed([line], first + k) for k, line in enumerate(lines)]
    return np.concatenate(parts)


def _domain(keywords):
    """The colours of the first and the last node."""
    domain = [Table.domain_min, Table.domain_max]
    for name in _RANGES:
        if name in keywords:
            low, high = _floats(name, keywords[name], 2)
            domain = [(low,) * 3, (high,) * 3]
    for k, name in enumerate(_DOMAIN):
        if name in keywords:
            domain[k] = _floats(name, keywords[name], 3)
    _check_domain(*domain)
    return domain


def _floats(name, text, count):
    try:
        values = tuple(float(word) for word in text.split())
    except ValueError:
        values = ()
    if len(values) != count:
        raise ValueError(f"{name} must be {count} numbers, got {text[:40]!r}")
    return values


def _check_domain(low, high):
    """Checks that colours can be told apart in the domain, in float32, as they are looked up."""
    with np.errstate(over="ignore"):
        width = np.float32(high) - np.float32(low)
    if not all(np.isfinite(width)) or not all(width >= np.finfo(np.float32).tiny):
        raise ValueError(
            "DOMAIN_MIN must be below DOMAIN_MAX in every channel, as float32, got "
            f"{tuple(low)} and {tuple(high)}"
        )

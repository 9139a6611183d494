"""The command `prepare`: a data set's files to records for fast random access."""

import re
import sys
import warnings

from bilateral_jax.cli import arguments
from bilateral_jax.data import option_errors
from bilateral_jax.data.records import builders, catalogue

_MOST_NAMED = 20  # of skipped files


def add_arguments(command):
    """Declares the arguments."""
    add = command.add_argument
    names = tuple(catalogue.SOURCES)
    add("name", choices=names, metavar="NAME", help=", ".join(names))
    add(
        "--source",
        required=True,
        metavar="DIR",
        help="folder that holds the data set's files",
    )
    add(
        "--data-dir",
        required=True,
        metavar="DIR",
        help="folder for prepared data sets",
    )
    add(
        "--option",
        action="append",
        default=[],
        type=arguments.option,
        metavar="NAME=VALUE",
        help="of the data set, see docs/data.md; may be given several times",
    )
    add(
        "--on-bad",
        choices=("refuse", "skip"),
        default="refuse",
        help="a damaged file stops the preparation, or is skipped and listed (default: refuse)",
    )


def run(name, source, data_dir, *, option, on_bad) -> int:
    """Prepares a data set and prints a summary.

    Args:
      name: a key of `catalogue.SOURCES`.
      source: the folder that holds the data set's files.
      data_dir: folder for prepared data sets.
      option: list of (key, value) for the reader.
      on_bad: "refuse" or "skip".

    Returns:
      Exit code 0.

    Raises:
      ValueError: an option that the reader does not know, or as `builders.prepare`.
    """
    for path in builders.leftovers(name, data_dir):
        print(
            f"left behind by an interrupted preparation: {path} (delete it unless another one is "
            "running)",
            file=sys.stderr,
        )
    try:
        with warnings.catch_warnings():
            # The result lists all skipped files.
            warnings.filterwarnings("ignore", message=".* are skipped: ")
            result = builders.prepare(
                name, source, data_dir, progress=_bar, on_bad=on_bad, **dict(option)
            )
    except TypeError as error:
        reason = option_errors.reason(error)
        said = f" {reason}; options are given as --option NAME=VALUE" if reason else f": {error}"
        raise ValueError(f"prepare {name}{said}") from error
    except ValueError as error:
        raise ValueError(_as_options(str(error))) from error
    counts = ", ".join(f"{split} {count}" for split, count in result.counts.items())
    state = "prepared" if result.fresh else "already prepared"
    print(f"{state}: {result.root}: {counts} records, {_bytes(result.size)}", end="")
    print(f"; {len(result.skipped)} skipped" + (":" if result.skipped else ""))
    for label, reason in result.skipped[:_MOST_NAMED]:
        print(f"  {label}: {reason}")
    if len(result.skipped) > _MOST_NAMED:
        rest = len(result.skipped) - _MOST_NAMED
        print(f"  and {rest} more; all are named in {result.root / 'metadata.json'}")
    return 0


def _as_options(message):
    """Writes the keywords that a source's message advises as they are typed here."""
    message = re.sub(r'\bon_bad="(\w+)"', r"--on-bad \1", message)
    return re.sub(r'(?<![\w-])(\w+)=(?:"(\w+)"|(True|False|FOLDER|FILE)\b)', _as_option, message)


def _as_option(keyword):
    return f"--option {keyword[1]}={keyword[2] or keyword[3]}"


def _bar(examples, split, count):
    from tqdm import tqdm

    return tqdm(examples, desc=split, total=count, unit="record", disable=None)


def _bytes(size):
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.1f} {unit}" if unit != "bytes" else f"{size} bytes"
        size /= 1000

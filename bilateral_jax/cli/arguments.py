"""Argument types and options that several sub-commands share."""

import argparse
import ast
import math

from bilateral_jax import images


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose errors are one line, as all others are."""

    def error(self, message):
        """Prints the message and exits with code 2.

        Args:
          message: what is wrong.
        """
        self.exit(2, f"error: {message} ({self.prog} --help says more)\n")


def add_checkpoint(command, *, or_weights: bool = False):
    """Adds `--checkpoint`, `--step` and `--network`, which say which network to load.

    Args:
      command: the sub-command's `argparse.ArgumentParser`.
      or_weights: also add `--weights`, which takes the place of `--checkpoint`.
    """
    what = {"type": path, "metavar": "RUN", "help": "work directory of a run, or a model"}
    if or_weights:
        group = command.add_mutually_exclusive_group(required=True)
        group.add_argument("--checkpoint", **what)
        text = "published network, downloaded once; `bilateral-jax weights` lists them"
        group.add_argument("--weights", metavar="NAME", help=text)
    else:
        command.add_argument("--checkpoint", required=True, **what)
    add_step(command)


def add_step(command):
    """Adds `--step` and `--network`.

    Args:
      command: as for `add_checkpoint`.
    """
    add = command.add_argument
    add("--step", type=int, help="step of a run (default: the newest)")
    add("--network", metavar="NAME", help="of a run with several (default: the one to ship)")


def add_sources(command, *, metavar):
    """Adds the positional `sources`: photos and folders of them.

    Args:
      command: as for `add_checkpoint`.
      metavar: their name in the help.
    """
    readable = " ".join(images.READABLE_SUFFIXES)
    what = f"photos, or folders of them ({readable}, raw)"
    command.add_argument("sources", nargs="+", type=path, metavar=metavar, help=what)


def add_reading(command):
    """Adds `--max-pixels` and `--first-frame`, which say which photos are read; see `images.read`.

    Args:
      command: as for `add_checkpoint`.
    """
    add = command.add_argument
    add(
        "--max-pixels",
        type=integer(1),
        metavar="N",
        help="read photos of up to N pixels (default: 268 million, and 1,000 per byte of the file)",
    )
    add(
        "--first-frame",
        action="store_true",
        help="of a file with several pages or frames, read the first",
    )


def path(text):
    """Parses a path; an empty one, of a shell variable that is not set, would be the folder "."."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return text


def integer(low, high=None):
    """Makes an argument type: integers from `low` to `high`, both included.

    Args:
      low: smallest.
      high: largest; None for no limit.

    Returns:
      A function that parses text.
    """

    def parse(text):
        value = int(text)
        if value < low or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"{value} is not in {low}..{high or ''}")
        return value

    parse.__name__ = "integer"  # argparse says "invalid integer value"
    return parse


def number(text):
    """Parses a number that is neither infinite nor NaN."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{value} is not finite")
    return value


def fraction(text):
    """Parses a number in [0, 1)."""
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not in [0, 1)")
    return value


def scale(text):
    """Parses a number in (0, 1]."""
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{value} is not in (0, 1]")
    return value


def name_value(text):
    """Parses NAME=VALUE, such as an option of a data source.

    Args:
      text: from the command line.

    Returns:
      (Name, value as `literal` returns it.)

    Raises:
      ValueError: there is no "=", or the name is none of Python.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"expected NAME=VALUE, got {text!r}")
    return name, literal(value)


def option(text):
    """Parses NAME=VALUE as `name_value`, as an argument's type."""
    try:
        return name_value(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def literal(text):
    """Evaluates a Python literal (number, True, None, list, ...); any other text stays text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text

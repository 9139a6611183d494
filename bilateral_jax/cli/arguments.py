"""Argument types and options that several sub-commands share."""

import argparse
import ast
import math

from bilateral_jax import images


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose errors are one line, and that takes no empty text.

    Empty text is what a shell makes of a variable that is not set; as a path it would stand for the
    current folder.
    """

    def parse_known_args(self, args=None, namespace=None):
        """Parses the arguments that the parser knows; see `argparse.ArgumentParser`.

        Args:
          args: list of words; None for those of the command line.
          namespace: object that gets the values; None for a new one.

        Returns:
          (The object, words left over.)
        """
        namespace, rest = super().parse_known_args(args, namespace)
        for action in self._actions:
            value = getattr(namespace, action.dest, None)
            if "" in (value if isinstance(value, list) else [value]):
                name = "/".join(action.option_strings) or action.metavar or action.dest
                self.error(f"{name} is empty")
        return namespace, rest

    def error(self, message):
        """Prints the message and exits with code 2.

        Args:
          message: what is wrong.
        """
        self.exit(2, f"error: {message} ({self.prog} --help says more)\n")


def add_checkpoint(command, *, or_weights: bool = False, or_others: bool = False):
    """Adds `--checkpoint`, `--step` and `--network`, which say which network to load.

    Args:
      command: the sub-command's `argparse.ArgumentParser`.
      or_weights: also add `--weights`, which takes the place of `--checkpoint`; one of the two is
        required.
      or_others: also add `--table` and `--weights`, either of which takes the place of
        `--checkpoint`; with none of the three it is the package's default network.
    """
    what = {"metavar": "RUN", "help": "work directory of a run, or a model"}
    if or_others:
        what["help"] += " (default: the network that ships with the package)"
    if or_others or or_weights:
        group = command.add_mutually_exclusive_group(required=not or_others)
        group.add_argument("--checkpoint", **what)
        if or_others:
            text = "colour table in place of a network: a .cube file or a Hald image"
            group.add_argument("--table", metavar="FILE", help=text)
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
    command.add_argument("sources", nargs="+", metavar=metavar, help=what)


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


def unit_interval(text):
    """Parses a number in [0, 1]."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{value} is not in [0, 1]")
    return value


unit_interval.__name__ = "number"  # argparse says "invalid number value"


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

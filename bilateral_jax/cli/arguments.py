"""Argument types and options that several sub-commands share."""

import argparse
import ast


def add_checkpoint(command, *, or_table: bool = False):
    """Adds `--checkpoint`, `--step` and `--network`, which say which network to load.

    Args:
      command: the sub-command's `argparse.ArgumentParser`.
      or_table: also add `--table`, which takes the place of `--checkpoint`.
    """
    what = {"metavar": "RUN", "help": "work directory of a run, or a model"}
    if or_table:
        group = command.add_mutually_exclusive_group(required=True)
        group.add_argument("--checkpoint", **what)
        text = "colour table in place of a network: a .cube file or a Hald image"
        group.add_argument("--table", metavar="FILE", help=text)
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


def literal(text):
    """Evaluates a Python literal (number, True, None, list, ...); any other text stays text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text

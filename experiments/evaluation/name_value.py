"""Options of a command line written as NAME=VALUE, such as those of a data source."""

import ast


def parse(pairs):
    """Parses `NAME=VALUE` words to keyword arguments.

    Args:
      pairs: list of words.

    Returns:
      `{name: value}`, values as `literal` returns them.

    Raises:
      ValueError: a word without "=".
    """
    options = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"expected NAME=VALUE, got {pair!r}")
        options[name] = literal(value)
    return options


def literal(text):
    """Value of a Python literal (number, True, None, list, ...); any other text stays text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text

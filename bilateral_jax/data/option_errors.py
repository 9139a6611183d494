"""TypeErrors of keyword arguments, reworded for options that a user gave."""

from __future__ import annotations

import re


def reason(error: TypeError) -> str | None:
    """Says which option is unknown, missing or set twice.

    Args:
      error: of a call with the options as keyword arguments.

    Returns:
      "has no option 'x'", "needs the option 'x'" or "sets the option 'x' itself", to stand behind a
      name; None for other errors.
    """
    if found := re.search(r"\(\) got an unexpected keyword argument ('\w+')", str(error)):
        return f"has no option {found[1]}"
    if found := re.search(r"\(\) missing \d+ required .*arguments?: (.*)", str(error)):
        return f"needs the option {found[1]}"
    if found := re.search(r"\(\) got multiple values for keyword argument ('\w+')", str(error)):
        return f"sets the option {found[1]} itself"
    return None

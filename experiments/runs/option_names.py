"""Error messages with the options of the command line that they speak of."""

import re

from experiments.runs import config_differences

# Names of entries that are common words, so that a message with one need not speak of the entry.
_COMMON_WORDS = {"error", "experiment", "form", "head", "initial", "kind", "loss", "name", "part"}
_COMMON_WORDS |= {"root", "run", "size", "split", "start", "stop"}


def add(error, config):
    """Adds to a message `(--config.batches.crop=512)` for each entry of the config that it names.

    Args:
      error: a ValueError or TypeError; changed in place. One that names options stays as it is.
      config: the config as nested dicts.
    """
    if len(error.args) != 1 or not isinstance(error.args[0], str) or "--config" in error.args[0]:
        return
    words = set(re.findall(r"\w+", error.args[0])) - _COMMON_WORDS
    named = [
        f"--config.{name}={value}"
        for name, value in config_differences.flat(config).items()
        if name.split(".")[-1] in words
    ]
    if named:
        error.args = (f"{error.args[0]} ({', '.join(named)})",)

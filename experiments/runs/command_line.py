"""Command lines of programs with a config: a mistake is reported in one line, with exit code 2."""

import difflib
import functools
import os
import re
import runpy
import sys
import traceback

from absl import app, flags

from bilateral_jax.cli import compilation_cache, errors
from bilateral_jax.training import stop_requests


class UsageError(ValueError):
    """A command line that cannot be parsed."""


def default_config(name, path):
    """Names a config on the command line where it names none; call it before the flag is defined.

    A default of the flag itself would be loaded, with its overrides, when the flag is defined: too
    early to say in one line what is wrong with them.

    Args:
      name: of the flag.
      path: the config file.
    """
    if _value(sys.argv, name) is None:
        sys.argv.insert(1, f"--{name}={path}")


def run(main, *, config, required=()):
    """Parses the command line, calls a program's main function and exits with its code.

    Args:
      main: `() -> exit code`; reads the flags.
      config: name of the flag that `config_flags.DEFINE_config_file` defined.
      required: names of the flags that must be given, and not as empty text.
    """
    flags.DEFINE_string(compilation_cache.FLAG, None, f"{compilation_cache.HELP}.")
    parser = functools.partial(_parse_or_exit, config=config, required=required)

    def start(_):
        compilation_cache.use(flags.FLAGS[compilation_cache.FLAG].value)
        stop_requests.leave(errors.exit_code(main, caught=errors.SOURCE_ERRORS))

    app.run(start, flags_parser=parser)


def _parse_or_exit(arguments, **names):
    try:
        return parse(arguments, **names)
    except UsageError as error:
        errors.report(error)
        sys.exit(2)


def parse(arguments, *, config, required=(), values=flags.FLAGS):
    """Parses flags, among them those of a config and its overrides.

    Args:
      arguments: list of words, the program's name first.
      config: name of the flag of the config file.
      required: names of the flags that must be given.
      values: the `flags.FlagValues` that hold the definitions.

    Returns:
      The program's name alone, in a list.

    Raises:
      UsageError: an unknown flag, a missing or broken config file, an override of an entry that the
        config lacks or of another type, or a word that is not a flag; one sentence.
    """
    try:
        words = values(arguments)
        loaded = values[config].value
        missing = [name for name in required if values[name].value is None]
        if loaded is not None:
            getattr(loaded, "lock", None)  # fails if the file could not be read
    except Exception as error:  # the config file is code, which may raise anything
        path = _value(arguments, config) or values[config].default
        raise UsageError(_reason(error, arguments, config, path)) from error
    if missing:
        raise UsageError(f"--{missing[0]} is required")
    for name in required:  # as --workdir=$RUN, where RUN is not set: not the current folder
        if values[name].value == "":
            raise UsageError(f"--{name} is empty; expected a path")
    if words[1:]:
        raise UsageError(
            f"unexpected {' '.join(map(repr, words[1:]))}: every option starts with --, "
            f"as in --{config}.seed=1"
        )
    return words


def _value(arguments, name):
    """The value of a flag in `--name=value` or `--name value`; None if it is not given."""
    for index, word in enumerate(arguments):
        if re.fullmatch(f"--?{name}", word):
            return arguments[index + 1] if index + 1 < len(arguments) else None
        if found := re.match(f"--?{name}=(.*)", word, re.DOTALL):
            return found[1]
    return None


def _reason(error, arguments, config, path):
    if path is None:
        return errors.sentence(error)
    try:
        loaded = _load(path)
    except UsageError as broken:
        return f"--{config}={path}: {broken}"
    for word in arguments[1:]:
        if found := re.match(rf"--?(?:no)?{config}\.([^=]*)", word):
            if unknown := _unknown_entry(loaded, found[1].split("."), config):
                return f"{unknown} (in {path})"
    return errors.sentence(error)


def _load(path):
    """Loads a config from `FILE` or `FILE:ARGUMENT`, as `config_flags` does.

    Raises:
      UsageError: it cannot be loaded; the reason.
    """
    file, *argument = path.split(":", 1)
    if os.path.isdir(file):
        raise UsageError(f"{file} is a folder; expected a Python file")
    try:
        names = runpy.run_path(file)
        if "get_config" not in names:
            raise UsageError("it has no function get_config")
        return names["get_config"](*argument)
    except UsageError:
        raise
    except FileNotFoundError as error:
        raise UsageError(f"no such file: {error.filename or file}") from error
    except (OSError, ModuleNotFoundError) as error:
        raise UsageError(errors.sentence(error)) from error
    except Exception as error:  # a config is code, which may raise anything
        where = "".join(
            f"line {frame.lineno}: "
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename == file
        )
        kind = type(error).__name__
        raise UsageError(f"{where}{kind}: {errors.sentence(error)}") from error


def _unknown_entry(section, path, config):
    """Says which name on the path of an override the config lacks; None if it has all."""
    so_far = config
    for name in path:
        plain = name.split("[")[0]
        if not hasattr(section, "keys"):
            return (
                f"--{so_far}.{name}: {so_far} is a value, not a section; --{so_far}=VALUE sets it"
            )
        known = sorted(section.keys())
        if plain not in known:
            close = difflib.get_close_matches(plain, known, n=1)
            advice = f"did you mean {close[0]}? " if close else ""
            return f"--{so_far}.{plain}: no such entry; {advice}{so_far} has {', '.join(known)}"
        section, so_far = section[plain], f"{so_far}.{plain}"
        if plain != name:
            return None  # an index into a list
    return None

"""Errors of the user as one line on the error output, and their exit codes."""

import contextlib
import os
import sys
from collections.abc import Callable

from bilateral_jax.cli import extras

# What the library raises for arguments and files that it cannot take; anything else is a bug.
USER_ERRORS = (OSError, ValueError, ImportError, MemoryError)
# The same where data sources are made: an option that one does not know is a TypeError.
SOURCE_ERRORS = (*USER_ERRORS, TypeError)


def sentence(error: BaseException) -> str:
    """Formats an error in one line; that of a missing package names the extra that installs it.

    Args:
      error: the exception.
    """
    if isinstance(error, ModuleNotFoundError):
        advice = extras.explain(error)
        if advice:
            return advice
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def report(error: BaseException) -> None:
    """Prints `error: ...` on the error output.

    Args:
      error: the exception.
    """
    print(f"error: {sentence(error)}", file=sys.stderr, flush=True)


def print_line(line: str) -> None:
    """Prints a line on the error output, above a progress bar if there is one.

    Args:
      line: the text.
    """
    if "tqdm" in sys.modules:
        sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr, flush=True)


def escape_unprintable() -> None:
    """Lets the output streams escape what their encoding lacks, such as names of files, not fail.

    A stream that passes on the bytes of file names (in the locale C) stays so.
    """
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def silence_opencv() -> None:
    """Keeps OpenCV's log of damaged files off the terminal, here and in worker processes.

    Its errors become exceptions anyway. Without effect once OpenCV is imported.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")


def exit_code(
    function: Callable[..., int],
    *arguments,
    caught: tuple[type[BaseException], ...] = USER_ERRORS,
    **options,
) -> int:
    """Calls a program's function and turns the user's errors into one line.

    Args:
      function: returns an exit code.
      *arguments: of the function.
      caught: exceptions that are the user's errors.
      **options: of the function.

    Returns:
      What the function returned; 1 after an error, 130 after Ctrl-C, 141 where the reader of the
      output is gone.
    """
    try:
        return function(*arguments, **options)
    except BrokenPipeError:  # who read the output, such as `head`, has seen enough
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # 128 + SIGPIPE, as a shell has it
    except caught as error:
        report(error)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def except_hook(kind, error, traceback) -> None:
    """A `sys.excepthook`: the import of a package that an extra brings fails in one line.

    Args:
      kind: class of the exception.
      error: the exception.
      traceback: of the exception.
    """
    if isinstance(error, ModuleNotFoundError) and extras.explain(error):
        report(error)
    else:
        sys.__excepthook__(kind, error, traceback)

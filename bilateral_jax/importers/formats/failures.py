"""One kind of failure for every reader: `ValueError`, one sentence that names the file.

Readers of foreign files, ours and those of libraries, raise what the damage happens to cause.
"""

import contextlib
import functools
import pathlib
from collections.abc import Callable, Iterator, Mapping


@contextlib.contextmanager
def named(path, kind: str, *, advice: str = "") -> Iterator[None]:
    """Turns any failure of the block into a `ValueError` that names the file.

    Args:
      path: the file.
      kind: what it was read as, such as "an .npz file".
      advice: what to do instead, behind the reason.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not a regular file (a FIFO would be waited for), or the block failed.
      ImportError: the block lacks a package.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    if not path.is_file():
        raise ValueError(f"{path} is not a regular file")
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        reason = _sentence(error) + (f"; {advice}" if advice else "")
        raise ValueError(f"{path} cannot be read as {kind}: {reason}") from error


def importer(load: Callable) -> Callable:
    """Makes an importer raise, for a damaged file, nothing but a `ValueError` that names it.

    Args:
      load: `(source, **options) -> Model`. Failures with a mapping as source stay as they are.

    Returns:
      The same function, for use as a decorator.

    Raises:
      FileNotFoundError: (the returned function) no such file.
      ValueError: (the returned function) anything else failed.
      ImportError: (the returned function) a package is missing.
    """

    @functools.wraps(load)
    def loading(source, **options):
        if isinstance(source, Mapping):
            return load(source, **options)
        try:
            return load(source, **options)
        except (FileNotFoundError, ImportError):
            raise
        except Exception as error:
            reason = _sentence(error)
            if isinstance(error, ValueError) and str(source) in reason:
                raise
            raise ValueError(f"{source} cannot be imported: {reason}") from error

    return loading


def _sentence(error):
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, KeyError):
        reason = f"it lacks {reason}"
    if isinstance(error, MemoryError):
        reason = "it asks for more memory than there is"
    return reason if len(reason) <= 1000 else f"{reason[:1000]} ..."

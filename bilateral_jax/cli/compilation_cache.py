"""JAX's compilation cache on disk: the second run of a command compiles nothing again.

On for commands and experiments, off for the library. The folder is that of the platform for caches
(`~/.cache/bilateral_jax/compiled` on Linux), unless `--compilation-cache`, JAX's own setting
(`JAX_COMPILATION_CACHE_DIR`) or the environment variable `BILATERAL_JAX_COMPILATION_CACHE` names
another one; "off" for none. JAX runs what lies there: the folder is created for its user alone.
"""

import os
import pathlib
import sys
import warnings

import jax

from bilateral_jax.cli import errors

FLAG = "compilation-cache"
VARIABLE = "BILATERAL_JAX_COMPILATION_CACHE"
OFF = "off"
HELP = f"folder of compiled programs, or {OFF} (default: the user's cache folder, or ${VARIABLE})"
# Older entries make room for newer ones.
_MAX_BYTES = 2**30
# Programs that compile faster are not worth a file.
_MIN_SECONDS = 0.2


def add_option(parser) -> None:
    """Adds `--compilation-cache` to an `argparse` parser.

    Args:
      parser: the parser.
    """
    parser.add_argument(f"--{FLAG}", metavar="DIR", help=HELP)


def use(folder: str | os.PathLike | None = None) -> pathlib.Path | None:
    """Sets JAX's compilation cache; a folder that cannot be written turns it off.

    Args:
      folder: what the command line says: a folder, "off", or None for JAX's own setting, the
        environment variable or the default, in this order.

    Returns:
      The folder, or None if the cache is off.
    """
    own = jax.config.jax_compilation_cache_dir
    if folder is None and own:
        return pathlib.Path(own)
    chosen = folder or os.environ.get(VARIABLE)
    if chosen is not None and str(chosen).lower() == OFF:
        if own:
            jax.config.update("jax_enable_compilation_cache", False)
        return None
    try:
        path = pathlib.Path(chosen).expanduser().absolute() if chosen else _default()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(f"{path} is not writable")
    except (OSError, ImportError, RuntimeError) as error:
        if chosen:
            print(f"compiled programs are not kept: {errors.sentence(error)}", file=sys.stderr)
        return None
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_compilation_cache_max_size", _max_bytes())
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _MIN_SECONDS)
    # A full disk or a damaged entry costs time, not the run.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
    return path


def _default():
    import platformdirs

    return platformdirs.user_cache_path("bilateral_jax", appauthor=False) / "compiled"


def _max_bytes():
    """The limit that JAX keeps, for which it needs `filelock`; -1, none, without it."""
    try:
        import filelock  # noqa: F401
    except ImportError:
        return -1
    return _MAX_BYTES

"""Versions of Python and of the packages that matter for a network's results."""

import sys
from importlib import metadata


def text() -> str:
    """Gives the versions in one line."""
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in ("jax", "flax", "numpy"))
    return f"{packages}, Python {sys.version.split()[0]}"

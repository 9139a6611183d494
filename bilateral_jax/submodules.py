"""Modules of a package that `dir()` lists and that are imported when they are first used."""

import importlib
import pkgutil
import sys
from collections.abc import Iterable
from typing import Any


def attach(
    package: str, path: Iterable[str], *bound: str, only: Iterable[str] | None = None
) -> list[str]:
    """Gives a package `__getattr__`, which imports its modules, and `__dir__`, which lists them.

    They are set from here, not defined in the package: a type checker that saw `__getattr__` there
    would take any name for one of the package.

    Args:
      package: its `__name__`.
      path: its `__path__`, where its modules lie.
      *bound: public names that the package binds itself.
      only: the public modules; None for all whose names have no leading underscore.

    Returns:
      The public names, for `__all__`.
    """
    if only is None:
        only = (each.name for each in pkgutil.iter_modules(path) if not each.name.startswith("_"))
    modules = frozenset(only)
    public = sorted({*modules, *bound})

    def import_on_demand(name: str) -> Any:
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    namespace = vars(sys.modules[package])
    namespace["__getattr__"], namespace["__dir__"] = import_on_demand, lambda: list(public)
    return public

"""Colour tables of other programs, `.cube` files and Hald images, to a network of one table."""

import pathlib

import numpy as np

from bilateral_jax import images, models
from bilateral_jax.importers.formats import cube, failures, hald
from bilateral_jax.models import model as model_lib

_HALD = (".png", ".tif", ".tiff", ".bmp")


@failures.importer
def load(source, *, interpolation: str = "tetrahedral") -> model_lib.Model:
    """Builds a network from a file of a table.

    Args:
      source: a `.cube` file, or a Hald image (PNG, TIFF or BMP: lossy formats mix the colours of
        neighbouring pixels, which are distant ones in the table).
      interpolation: see `table_lookup`.

    Returns:
      The model, a `ColorTable`.

    Raises:
      FileNotFoundError: no such file.
      ValueError: the file cannot be read as such.
    """
    path = pathlib.Path(source)
    if path.suffix.lower() == cube.SUFFIX:
        return from_table(cube.read(path), interpolation=interpolation)
    if path.suffix.lower() not in _HALD:
        lossy = path.suffix.lower() in images.READABLE_SUFFIXES
        reason = "; other formats of images may change colours" if lossy else ""
        raise ValueError(
            f"{path} must be a .cube file or a Hald image ({', '.join(_HALD)}){reason}"
        )
    values = hald.table(images.read(path).pixels)
    return from_table(cube.Table(values), interpolation=interpolation)


def from_table(table: cube.Table, *, interpolation: str = "tetrahedral") -> model_lib.Model:
    """Builds a network from a table.

    Args:
      table: the table, `[n_red, n_green, n_blue, 3]` or `[n, 3]`, and its domain.
      interpolation: see `table_lookup`.

    Returns:
      The model, a `ColorTable`.

    Raises:
      ValueError: fewer than 2 nodes, an empty domain, or an unknown interpolation.
    """
    fields = {
        "nodes": table.values.shape[:-1],
        "domain_min": table.domain_min,
        "domain_max": table.domain_max,
        "interpolation": interpolation,
    }
    module = models.create("ColorTable", fields)
    return model_lib.Model.from_leaves(module, {"table": np.asarray(table.values)}, {})

"""Colour tables as Hald images: what a photo editor makes of the image that holds every node.

A Hald image of level L is square with a side of L^3 pixels. Its pixels, row by row, are the nodes
of a table with L^2 nodes on each axis, red fastest and blue slowest.

Reference: Eskil Steenberg 2005, "Hald images".
"""

import numpy as np

from bilateral_jax import pixels as pixels_lib

LEVELS = range(2, 17)


def identity(level: int) -> np.ndarray:
    """Makes the Hald image in which every node has its own colour.

    Args:
      level: 2 to 16; 8 is usual.

    Returns:
      float32 `[level^3, level^3, 3]` in [0, 1].

    Raises:
      ValueError: another level.
    """
    if not isinstance(level, int | np.integer) or level not in LEVELS:
        raise ValueError(f"level must be an int from 2 to 16, got {level!r}")
    nodes = np.linspace(0, 1, level**2, dtype=np.float32)
    blue, green, red = np.meshgrid(nodes, nodes, nodes, indexing="ij")
    return np.stack([red, green, blue], axis=-1).reshape(level**3, level**3, 3)


def table(image) -> np.ndarray:
    """Reads the table that a Hald image holds.

    Args:
      image: `[side, side, 3]`, uint8, uint16 or float in [0, 1].

    Returns:
      float32 `[n, n, n, 3]`, axes red, green, blue.

    Raises:
      ValueError: the sides are not those of a Hald image.
    """
    image = np.asarray(image)
    sides = [level**3 for level in LEVELS]
    if image.ndim != 3 or image.shape[2] != 3 or len(set(image.shape[:2])) > 1:
        raise ValueError(f"image must be square, [side, side, 3], got {image.shape}")
    if len(image) not in sides:
        raise ValueError(
            "image must have a side that is the third power of a Hald level "
            f"({sides[0]}, {sides[1]}, ..., {sides[-1]}), got {len(image)}"
        )
    nodes = LEVELS[sides.index(len(image))] ** 2
    values = pixels_lib.as_float(image).reshape(nodes, nodes, nodes, 3)
    return np.ascontiguousarray(values.transpose(2, 1, 0, 3))

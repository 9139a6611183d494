"""Depth planes: what a pixel's guide weighs, as dense arithmetic for the vector unit.

A plane is one weight per pixel and one mix of depth cells. For the value (order 0) plane k is the
tent around cell k; for the derivative (order 1) it indicates the gap from cell k to k + 1, and its
mix is the difference of the two. A ring has one plane more, which leads back to cell 0.

Receives a `Lattice` and guides from `slicing.py` and `splatting.py`.
Hands weights back to them.
"""

import jax.numpy as jnp
import numpy as np


def plane_cells(lattice, order: int) -> np.ndarray:
    """The mix of depth cells that each plane stands for, `[plane, gd]`; empty if all are 0."""
    gd, wrap = lattice.grid_shape[2], lattice.boundary[2] == "wrap"
    centres = np.eye(gd)[np.arange(gd + wrap) % gd]
    return centres if order == 0 else lattice.depth_scale * np.diff(centres, axis=0)


def position(guide, lattice, order: int):
    """Positions along gd: on a ring within its first turn, else clamped if tents are to come."""
    depth = lattice.depth(guide)
    gd = lattice.grid_shape[2]
    if lattice.boundary[2] == "wrap":
        return depth - gd * jnp.floor(depth / gd)
    return depth if order == 1 else jnp.clip(depth, 0, gd - 1)


def plane_weight(depth, k, order: int):
    """The weights of plane `k` at positions of any shape.

    A NaN makes tents NaN and indicators 0. At a cell's centre the derivative is the one to the
    right.
    """
    k = jnp.asarray(k, jnp.float32)
    if order == 1:
        return ((depth >= k) & (depth < k + 1)).astype(depth.dtype)
    return jnp.maximum(1 - jnp.abs(depth - k), 0)

"""Grids fitted to one pair of images, without training; docs/fitted_grids.md.

Receives an image and what an operator made of it.
Hands a bilateral grid back, which does to other sizes of the image what the operator did.
"""

from bilateral_jax import submodules

__all__ = submodules.attach(__name__, __path__)

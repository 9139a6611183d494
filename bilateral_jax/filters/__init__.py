"""Classical filters of images, used as teachers and baselines of networks; docs/filters.md.

Receives images [*b, h, w, 3] or planes [*b, h, w] from data, experiments and users.
Hands filtered images or planes of the same size back.
"""

from bilateral_jax import submodules

__all__ = submodules.attach(__name__, __path__)

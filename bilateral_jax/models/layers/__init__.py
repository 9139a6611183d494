"""Layers that several papers' networks share: convolutions, norms, guides, grids, row tiles."""

from bilateral_jax import submodules

__all__ = submodules.attach(__name__, __path__)

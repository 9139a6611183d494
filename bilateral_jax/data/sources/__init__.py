"""Sources of published data sets, one file each, and their base classes and readers."""

from bilateral_jax import submodules

__all__ = submodules.attach(__name__, __path__)

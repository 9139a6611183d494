"""Data sets prepared as record files by tensorflow-datasets: builders and sources."""

from bilateral_jax import submodules

__all__ = submodules.attach(__name__, __path__)

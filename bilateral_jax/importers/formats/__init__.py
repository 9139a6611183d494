"""Readers of foreign weight files: TensorFlow bundles, PyTorch files, Keras files."""

from bilateral_jax import submodules

__all__ = submodules.attach(__name__, __path__)

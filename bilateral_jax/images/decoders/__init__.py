"""Decoders, one file per image format: `plan` reads a header and says how to decode the pixels."""

from bilateral_jax import submodules

__all__ = submodules.attach(__name__, __path__)

"""Published weights: a catalogue of them, and files from their authors' addresses, with checksums.

Receives names of the catalogue.
Hands files on disk to `importers` and `cli`.
"""

from bilateral_jax import submodules

__all__ = submodules.attach(__name__, __path__)

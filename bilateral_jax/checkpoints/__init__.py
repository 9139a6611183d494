"""Pytrees and networks on disk: saved whole or not at all, validated when restored.

Receives training states and networks.
Hands NumPy pytrees and models back.
"""

from bilateral_jax import submodules

__all__ = submodules.attach(__name__, __path__)

"""Synthetic examples: procedural images, simulated cameras, distortions of known strength."""

from bilateral_jax import submodules

__all__ = submodules.attach(__name__, __path__)

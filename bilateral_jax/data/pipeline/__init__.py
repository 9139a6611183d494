"""From sources to batches: augmentation, sampling, loading in the background, caches."""

from bilateral_jax import submodules

__all__ = submodules.attach(__name__, __path__)

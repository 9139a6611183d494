"""Published weights to our models: one file per source, with its table of names and shapes.

Receives files that TensorFlow, Keras, PyTorch or MatConvNet wrote, or mappings of names to arrays.
Hands out `Model`s.
"""

from bilateral_jax import submodules

__all__ = submodules.attach(__name__, __path__)

"""A trained model applied to an image of any size, in bounded memory.

Receives pixels and a `Model`.
Hands out pixels of the same dtype.
"""

from bilateral_jax.inference.enhancement import enhance as enhance

__all__ = [
    "enhance",
]


def __dir__() -> list[str]:
    return __all__

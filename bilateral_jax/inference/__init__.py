"""A trained model applied to an image of any size, in bounded memory.

Receives pixels and a `Model`.
Hands pixels of the same dtype back.
"""

from bilateral_jax.inference.enhancement import enhance as enhance

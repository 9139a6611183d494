"""The papers' networks, one file each, and the registry that builds them by name.

Receives names and hyper-parameters, images, low-res inputs and batches.
Hands out modules, `Model`s of them, images, grids, features and logits.
"""

from bilateral_jax import submodules
from bilateral_jax.models.registry import REGISTRY as REGISTRY
from bilateral_jax.models.registry import create as create
from bilateral_jax.models.registry import describe as describe

__all__ = submodules.attach(__name__, __path__, "REGISTRY", "create", "describe")

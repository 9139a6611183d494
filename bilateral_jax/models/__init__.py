"""The papers' networks, one file each, and the registry that builds them by name.

Receives names and hyper-parameters from checkpoints/ and experiments.
Hands modules, and `Model`s of them, to whoever trains or applies them.
"""

from bilateral_jax.models.registry import REGISTRY as REGISTRY
from bilateral_jax.models.registry import create as create
from bilateral_jax.models.registry import describe as describe

"""Two cameras' photos of the same scenes to pairs of patches: matching, geometry, refinement, warp.

Receives photos from images/.
Hands patches, DPED's folder layout and a report to the user.
"""

from bilateral_jax import submodules

__all__ = submodules.attach(__name__, __path__)

"""Training: state, gradient steps, devices, processes, the loop; for any networks and any data.

Receives functions and pytrees from experiments, batches from data/.
Hands states to checkpoints/, metrics to the run's files.
"""

from bilateral_jax import submodules

__all__ = submodules.attach(__name__, __path__)

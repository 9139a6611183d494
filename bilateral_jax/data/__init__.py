"""Data sets, synthetic examples, and batches for training and evaluation.

`sources/` and `synthetic/` have one file per data set, `records/` those prepared as record files,
`pipeline/` makes batches; `registry.py` finds a source by the name that a config gives it.

Receives folders and config sections from the user and experiments.
Hands batches (`pipeline/batch.py`) to the training step, whole examples to the evaluation.
"""

from bilateral_jax import submodules

__all__ = submodules.attach(__name__, __path__)

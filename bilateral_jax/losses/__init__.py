"""Losses: pure functions of arrays with one value per example; experiments weight and sum them.

Losses of images take `valid`, `[*b, h, w]`, 0 at the pixels of padding: those count in no mean and
get no gradient.

Receives images [*b, h, w, c], logits, distributions and grids from experiments.
Hands values [*b] to training/step.py's weighted mean.
"""

from bilateral_jax import submodules

__all__ = submodules.attach(__name__, __path__)

"""Smoke test of a sweep: four trials of the smoke experiment.

Command: python -m experiments.sweep --sweep=configs/sweeps/smoke.py --workdir=SWEEP --parallel=2
"""

from configs import smoke
from configs.sweeps import combine


def get_config():
    return combine.sweep(
        smoke.get_config(),
        combine.product({"model.luma_bins": [2, 4], "optimizer.learning_rate": [3e-3, 1e-2]}),
    )

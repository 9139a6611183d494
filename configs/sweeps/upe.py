"""UPE's ablation: direct regression, then the losses of the illumination one after another.

Command: python -m experiments.sweep --sweep=configs/sweeps/upe.py --workdir=SWEEP
"""

from configs import upe_demo
from configs.sweeps import combine

# The paper's rows: without the losses (and without illumination), + L_r, + L_r + L_s, all.
ROWS = [
    {"model.rendering": "direct", "loss.smoothness": 0.0, "loss.colour": 0.0},
    {"model.rendering": "graph", "loss.smoothness": 0.0, "loss.colour": 0.0},
    {"model.rendering": "graph", "loss.smoothness": 2.0, "loss.colour": 0.0},
    {"model.rendering": "graph", "loss.smoothness": 2.0, "loss.colour": 1.0},
]


def get_config():
    return combine.sweep(upe_demo.get_config(), combine.product(ROWS, {"seed": [0]}))

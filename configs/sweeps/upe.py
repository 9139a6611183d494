"""UPE's ablation: direct regression, then the losses of the illumination added one by one.

Command: python -m experiments.sweep --sweep=configs/sweeps/upe.py --workdir=SWEEP
Result: held-out PSNR in dB and SSIM of configs/upe_demo.py, seed 0, and of the same darkening of
  six other photos (source `retouched`, seed 2, two rounds); in the paper on FiveK:

                 demo photos    other photos   paper
    untouched     9.27  0.546    7.96  0.393
    none         23.51  0.834   23.01  0.842   21.97  0.867
    + L_r        23.04  0.826   22.66  0.805   22.31  0.871
    + L_s        22.96  0.848   22.14  0.825   22.89  0.884
    + L_c        24.01  0.852   23.78  0.834   23.04  0.893

  The paper's order is not reproduced. With seed 1 "none" has 22.53 dB, 0.833 (others 22.16, 0.840)
  and all losses 21.24 dB, 0.846 (22.01, 0.821): five training photos and two seeds are not
  conclusive in PSNR. In both seeds the full loss has the better SSIM on the demo photos, and
  direct regression on the others.
Cost: four trainings of configs/upe_demo.py.
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

"""HDRNet on your own pairs: grid depth, learning rate with batch size, three seeds.

Command: python -m experiments.sweep --sweep=configs/sweeps/hdrnet.py --workdir=SWEEP
           --sweep.base.data.train.root=PAIRS --sweep.base.data.heldout.root=HELDOUT
Cost: 12 trainings of configs/hdrnet.py, shortened to 20 000 steps.
"""

from configs import hdrnet
from configs.sweeps import combine


def get_config():
    base = hdrnet.get_config()
    base.steps = 20_000
    together = combine.zipped(
        {"batches.batch_size": [4, 16], "optimizer.learning_rate": [1e-4, 2e-4]}
    )
    return combine.sweep(
        base, combine.product({"model.luma_bins": [4, 8]}, together, {"seed": range(3)})
    )

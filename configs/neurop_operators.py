"""NeurOp's operators alone, before `configs/neurop.py`: each learns one adjustment of photos.

Command: see `configs/neurop.py`
Data: photos; of pairs the inputs are used. The authors rendered theirs in a photo editor, which
  are not available; here every step renders its own (experiments/operators/color_adjustments.py).
Result: a start for `configs/neurop.py`. The strengths are untrained, so PSNR means nothing here.
Cost: about that of a step of `configs/neurop.py`.
From the published code: both losses with weight 1, the optimiser, 100,000 steps. Ours: the
  adjustments, levels uniform in [-1, 1].
"""

import ml_collections

from configs import neurop


def get_config():
    config = neurop.get_config()
    config.stage = "operators"
    config.steps = 100_000
    with config.unlocked():
        config.loss = ml_collections.ConfigDict({"unary": 1.0, "pair": 1.0})
    return config

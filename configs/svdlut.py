"""SVDLUT on your own folder of photo pairs.

Command: python -m experiments.train --config=configs/svdlut.py --workdir=RUN
           --config.data.train.root=PAIRS --config.data.heldout.root=HELDOUT
Data: as for `configs/lut_bgrid.py`.
Result: not trained here at this length. The published weights, which `python -m bilateral_jax
  import svdlut` reads, are measured in docs/published_enhancers.md.
Cost: 160 k parameters.
Of the original and not: as in `configs/lut_bgrid.py`; the start is the identity.
"""

import ml_collections

from configs import lut_bgrid


def get_config():
    config = lut_bgrid.get_config()
    with config.unlocked():
        config.model = ml_collections.ConfigDict()
    config.model.update(name="SVDLUT", preset="paper", positions="align_corners")
    config.loss.weights = 0.0
    config.loss.total_variation = 0.0
    config.loss.monotonicity = 0.0
    return config

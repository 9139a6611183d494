"""SepLUT on your own folder of photo pairs.

Command: python -m experiments.train --config=configs/seplut.py --workdir=RUN
           --config.data.train.root=PAIRS --config.data.heldout.root=HELDOUT
Data: as for `configs/lut_bgrid.py`.
Result: not trained here at this length. The published weights, which `python -m bilateral_jax
  import seplut` reads, are measured in docs/published_enhancers.md.
Cost: 47 k parameters with 6 channels and 9 nodes, 120 k with 8 and 17.
Of the original: losses and their weights, optimiser, dropout, batches of one. Not of the original:
  as in `configs/lut_bgrid.py`; biases start at 0.
"""

import ml_collections

from configs import lut_bgrid


def get_config():
    config = lut_bgrid.get_config()
    with config.unlocked():
        config.model = ml_collections.ConfigDict()
        config.schedule = ml_collections.ConfigDict({"name": "constant", "warmup": 0})
    config.model.update(name="SepLUT", preset="paper", width=8, curve_nodes=17, table_nodes=17)
    config.loss.cie94 = 0.0
    config.loss.total_variation = 0.0
    config.loss.monotonicity = 0.0
    return config

"""An HDRNet with NIMA in its loss: `configs/perceptual.py` with another network.

Command: python -m experiments.train --config=configs/perceptual_hdrnet.py --workdir=RUN
           --config.start=PLAIN --config.critic=NIMA
           --config.data.train.root=PAIRS --config.data.heldout.root=HELDOUT
  where PLAIN is a run of `configs/hdrnet.py` with the same pairs
Result: not measured; the loss is that of `configs/perceptual.py`, the tests run it.
Cost: a step of `configs/hdrnet.py` on one whole photo, and the critic's.
"""

from configs import hdrnet, perceptual


def get_config():
    config = perceptual.get_config()
    with config.unlocked():
        config.model = hdrnet.get_config().model
    return config

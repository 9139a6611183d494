"""Image-adaptive 3D LUT without pairs: photos as taken, and other photos of the wanted look.

Command: python -m experiments.train --config=configs/lut3d_unpaired.py --workdir=RUN
           --config.data.train.root=PHOTOS --config.data.heldout.root=HELDOUT
Data: `PHOTOS/input/` and `PHOTOS/target/`, any names, in any number; `HELDOUT` holds pairs, to
  measure by. The paper has FiveK's inputs and other photos as expert C retouched them.
Result: depends on the photos. The published weights (docs/lut3d.md) give 25.57 dB on five FiveK
  photos, their inputs 23.18.
Cost: .24 s of processor time for a step on one crop of 300 pixels: the gradient of the critic is
  differentiated, too.
Of the original: as for `configs/lut3d.py`; one step of the critic for each of the network.
"""

import ml_collections

from configs import lut3d


def get_config():
    config = lut3d.get_config()
    config.steps = 1_800_000  # 800 epochs of 2 250 photos
    config.model.normalised = 1
    config.model.dropout = 0.0
    config.loss.mse = 1000.0  # against the input; 10 for inputs in XYZ
    config.loss.monotonicity = 10.0  # 100 for inputs in XYZ
    config.loss.adversarial = 1.0
    config.loss.gradient_penalty = 10.0
    config.optimizer.learning_rate = 2e-4
    with config.unlocked():
        config.critic = ml_collections.ConfigDict({"width": 16})
        config.critic_optimizer = ml_collections.ConfigDict(config.optimizer)
        photos = {"kind": "unpaired", "on_bad": "refuse", "follow_links": False}
        config.data.train = {**photos, "root": "photos"}
    config.batches.paired = False
    return config

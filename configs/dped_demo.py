"""DPED on patches of five bundled photos and an imagined phone's renditions of them.

Command: python -m experiments.train --config=configs/dped_demo.py --workdir=RUN
"""

from configs import dped


def get_config():
    config = dped.get_config()
    config.steps = 300
    config.model.width = 16
    config.model.initial = "he"
    config.critic.channels = (12, 32, 48, 48, 32)
    config.critic.hidden = 128
    config.loss.content = 0.0  # no VGG is bundled
    config.loss.mse = 7500.0
    config.loss.texture_examples = 50.0
    config.average_decay = 0.98

    with config.unlocked():
        config.data.train = {"kind": "phone", "split": "train", "variants": 8}
        config.data.heldout = {"kind": "phone", "split": "heldout"}
    config.batches.batch_size = 12
    config.batches.flips = True
    config.batches.rotations = True

    config.run.log_every = 10
    config.run.evaluate_every = 150
    config.run.sheet_photos = 3
    config.run.checkpoint_every = 50
    return config

"""HDRNet on five photos that ship in Python packages; judged on three that it never saw.

Command: make demo   (or python -m experiments.demo; experiments.train runs this config, too)
"""

from configs import hdrnet


def get_config():
    config = hdrnet.get_config()
    config.steps = 1_500
    config.optimizer.learning_rate = 1e-3
    config.schedule.name = "cosine"
    config.schedule.warmup = 50
    config.loss.grid_variation = 0.0
    config.average_decay = 0.99

    with config.unlocked():
        config.data.train = {"kind": "demo", "split": "train", "variants": 32}
        config.data.heldout = {"kind": "demo", "split": "heldout"}
    config.batches.batch_size = 4
    config.batches.crop = 192

    config.run.log_every = 25
    config.run.evaluate_every = 250
    config.run.sheet_photos = 3
    config.run.checkpoint_every = 250
    return config

"""CycleGAN without pairs on bundled photos: dulled ones, and others as they are.

Command: python -m experiments.train --config=configs/cyclegan_demo.py --workdir=RUN
         configs/cyclegan_demo.py:FOLDER takes the photos of a folder; configs/unpaired_photos.py
         says which of them are held out, and how the inputs were made.
Narrow, to run on two CPU cores: a fifth of the width, 3 blocks, patches of 34 pixels, crops of 64.
Result: not measured: no more than its first steps were taken.
"""

from configs import cyclegan, unpaired_photos


def get_config(photos=None):
    config = cyclegan.get_config()
    config.steps = 800
    config.model.width = 12
    config.model.blocks = 3
    config.critic.width = 16
    config.critic.strided = 2
    config.pool.crop = 64
    config.optimizer.learning_rate = 1e-3
    config.critic_optimizer.learning_rate = 4e-4
    config.average_decay = 0.98

    made = unpaired_photos.sections(photos, long_side=144)  # a crop shows a third of a photo
    with config.unlocked():
        config.data.train, config.data.heldout = made["train"], made["heldout"]
    config.batches.batch_size = 2
    config.batches.crop = 64

    config.run.log_every = 10
    config.run.evaluate_every = 200
    config.run.sheet_photos = 3
    config.run.checkpoint_every = 200
    return config

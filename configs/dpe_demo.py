"""Deep Photo Enhancer without pairs on bundled photos: dulled ones, and others as they are.

Command: python -m experiments.train --config=configs/dpe_demo.py --workdir=RUN
         configs/dpe_demo.py:FOLDER takes the photos of a folder; configs/unpaired_photos.py says
         which of them are held out, and how the inputs were made.
Narrow, to run on a CPU: 8 channels for 16, photos of 128 pixels for 512, batches of 4, five critic
  steps for one of the generators, larger learning rates.
Result: not measured yet.
"""

from configs import dpe, unpaired_photos

_SIDE = 64


def get_config(photos=None):
    config = dpe.get_config()
    config.steps = 600
    for section in (config.model, config.critic):
        section.width = 8
        section.size = _SIDE
    config.critic.norm = "none"
    config.loss.identity = 5.0
    config.loss.cycle = 5.0
    config.loss.chroma = 1.0
    config.loss.form = "least_squares"
    config.penalty.form = "zero_centred"
    config.penalty.weight = 1.0
    config.penalty.adaptive = False
    config.n_critic = 2
    config.optimizer.learning_rate = config.critic_optimizer.learning_rate = 1e-3
    config.optimizer.b1 = config.critic_optimizer.b1 = 0.5
    config.average_decay = 0.98

    made = unpaired_photos.sections(photos, long_side=_SIDE)
    with config.unlocked():
        config.data.train, config.data.heldout = made["train"], made["heldout"]
    config.batches.batch_size = 4
    config.batches.long_side = _SIDE
    config.batches.pad_to = _SIDE

    config.run.log_every = 10
    config.run.evaluate_every = 200
    config.run.sheet_photos = 3
    config.run.checkpoint_every = 200
    return config

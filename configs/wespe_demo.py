"""WESPE without pairs on bundled photos: dulled ones, and others as they are.

Command: python -m experiments.train --config=configs/wespe_demo.py --workdir=RUN
         configs/wespe_demo.py:FOLDER takes the photos of a folder; configs/unpaired_photos.py says
         which of them are held out, and how the inputs were made.
"""

from configs import unpaired_photos, wespe


def get_config(photos=None):
    config = wespe.get_config()
    config.steps = 600
    for section in (config.model, config.inverse):
        section.width = 8
        section.blocks = 2
        section.initial = "he"
        section.residual = True
    config.critic.channels = (12, 32, 48, 48, 32)
    config.critic.hidden = 128
    config.critic.size = 64
    config.critic.pooled = True
    config.critic.norm = "none"
    config.loss.content = 0.0  # no network is bundled
    config.loss.cycle_mse = 1.0
    config.loss.color = 0.05
    config.loss.variation = 0.1
    config.loss.gradient_penalty = 1.0
    config.optimizer.learning_rate = 3e-4
    config.critic_optimizer.learning_rate = 1e-3
    config.average_decay = 0.95
    config.n_critic = 4
    config.watchdog.patience = 100

    made = unpaired_photos.sections(photos)
    with config.unlocked():
        config.data.train, config.data.heldout = made["train"], made["heldout"]
    config.batches.batch_size = 8
    config.batches.crop = 64

    config.run.log_every = 20
    config.run.evaluate_every = 300
    config.run.sheet_photos = 3
    config.run.checkpoint_every = 100
    return config

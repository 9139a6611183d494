"""CycleGAN without pairs on bundled photos: dulled ones, and others as they are.

Command: python -m experiments.train --config=configs/cyclegan_demo.py --workdir=RUN
         configs/cyclegan_demo.py:FOLDER takes the photos of a folder; configs/unpaired_photos.py
         says which of them are held out, and how the inputs were made.
Narrow, to run on two CPU cores: a fifth of the width, 3 blocks, patches of 34 pixels, crops of 64.
Result: too short. The generators start from random weights and have to learn to draw a photo first.
  With `:open_photos:FOLDER` on the eight held-out open photos (seed 0, jax 0.10.2, one CPU device,
  144 pixels), where the input has 17.2 dB: 10.23 dB at the start, 14.46, 15.06, 14.22 and 13.37
  after 200, 400, 600 and 800 steps, SSIM .039 -> .425: blurred, with the lattice of the transposed
  convolutions. configs/unpaired_hdrnet_demo.py and configs/dpe_demo.py start from the photo.
Cost: about .6 s of processor time per step, 8 minutes.
"""

from configs import cyclegan, unpaired_photos


def get_config(photos=None):
    config = cyclegan.get_config()
    config.steps = 600
    config.model.width = 12
    config.model.blocks = 3
    config.model.residual = True
    config.critic.width = 16
    config.critic.strided = 2
    config.critic.norm = "none"
    config.loss.chroma = 1.0
    config.loss.gradient_penalty = 1.0
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

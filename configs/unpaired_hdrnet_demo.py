"""HDRNet without pairs on bundled photos: dulled ones, and others as they are.

Command: python -m experiments.train --config=configs/unpaired_hdrnet_demo.py --workdir=RUN
         configs/unpaired_hdrnet_demo.py:FOLDER takes the photos of a folder;
         configs/unpaired_photos.py says which of them are held out, and how the inputs were made.
Small: net input of 64 pixels, grids of 8 x 8 x 4, crops of 144 of photos of 256; the critic sees
them reduced by 4.
Result: with `:open_photos:FOLDER` on the eight held-out photos, seeds 0, 1 and 2 (jax 0.10.2, one
  CPU device): PSNR 17.2 -> 24.12, 23.26 and 24.73 dB, SSIM .806 -> .858, .884 and .854; at 600
  pixels 17.12 -> 24.07, 23.22 and 24.67. docs/unpaired_hdrnet.md has more, and what was tried. The
  bundled photos alone (two inputs, three targets) are too few: 16.47 -> 21.28 dB after 600 steps,
  14.71 after 1,500.
Cost: about 5 minutes of processor time.
"""

from configs import unpaired_hdrnet, unpaired_photos


def get_config(photos=None):
    config = unpaired_hdrnet.get_config()
    config.steps = 1500
    config.model.luma_bins = 4
    config.model.spatial_bin = 8
    config.model.net_input_size = 64
    config.critic.width = 16
    config.critic.strided = 2
    config.loss.critic_shrink = 4
    config.loss.identity = 5.0
    config.loss.chroma = 1.0
    config.loss.form = "least_squares"
    config.penalty.form = "zero_centred"
    config.penalty.weight = 1.0
    config.penalty.adaptive = False
    config.n_critic = 3
    config.optimizer.learning_rate = 1e-4
    config.critic_optimizer.learning_rate = 1e-3
    config.average_decay = 0.98

    made = unpaired_photos.sections(photos, long_side=256)
    with config.unlocked():
        config.optimizer.b1 = config.critic_optimizer.b1 = 0.5
        config.data.train, config.data.heldout = made["train"], made["heldout"]
    config.batches.batch_size = 8
    config.batches.crop = 144

    config.run.log_every = 10
    config.run.evaluate_every = 300
    config.run.sheet_photos = 3
    config.run.checkpoint_every = 300
    return config

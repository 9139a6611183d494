"""HDRNet without pairs on bundled photos: dulled ones, and others as they are.

Command: python -m experiments.train --config=configs/unpaired_hdrnet_demo.py --workdir=RUN
         configs/unpaired_hdrnet_demo.py:FOLDER takes the photos of a folder;
         configs/unpaired_photos.py says which of them are held out, and how the inputs were made.
Result: not measured: no training of these settings was run.
What was tried: 60 steps (seed 0, jax 0.10.2) with both learning rates 1e-3 and an identity of
  weight 10. The output left its input (2.4 dB at step 20), came back (33 dB at step 60), and the
  critic was flat from step 25 on. The three held-out photos: PSNR 16.38 -> 17.69 dB after 30
  steps, 17.32 after 60; SSIM .781 -> .778, dE76 23.6 -> 20.1. These settings are more careful.
Cost: 0.5 to 2 s per step on two busy cores.
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
    config.optimizer.b1 = config.critic_optimizer.b1 = 0.5
    config.average_decay = 0.98

    made = unpaired_photos.sections(photos, long_side=256)
    with config.unlocked():
        config.data.train, config.data.heldout = made["train"], made["heldout"]
    config.batches.batch_size = 8
    config.batches.crop = 144

    config.run.log_every = 10
    config.run.evaluate_every = 300
    config.run.sheet_photos = 3
    config.run.checkpoint_every = 300
    return config

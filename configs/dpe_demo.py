"""Deep Photo Enhancer without pairs on bundled photos: dulled ones, and others as they are.

Command: python -m experiments.train --config=configs/dpe_demo.py --workdir=RUN
         configs/dpe_demo.py:FOLDER takes the photos of a folder; configs/unpaired_photos.py says
         which of them are held out, and how the inputs were made.
Narrow, to run on a CPU: 8 channels for 16, photos of 64 pixels for 512, batches of 4, two critic
  steps for one of the generators, larger learning rates. Not of the paper either: least squares and
  a zero-centred penalty, critics without instance norm, the chroma term, weights of 5.
Result: with `:open_photos:FOLDER` on the eight held-out open photos, seeds 0, 1 and 2 (jax 0.10.2,
  one CPU device): at 64 pixels PSNR 17.36 -> 20.22, 20.92 and 20.31 dB, SSIM .787 -> .838, .853 and
  .847. With `--config.steps=600` the seeds differ: 24.13 dB, SSIM .889 (at 600 pixels 24.89, .899;
  five FiveK inputs 23.18 -> 20.17 dB to expert C); 12.62, where the critic DX diverges after step
  400 (19.17); and 20.41. On the bundled photos alone it was not trained.
Cost: about .5 s of processor time per step, 3 to 4 minutes; compiling takes 2 to 4 minutes more.
What was tried: with a schedule of 1,600 steps 21.47 dB after 600, 20.35 after 800 and 17.05 after
  1,000: the critics win, so the learning rate has to fall before. The published critic, with
  instance norm: 17.5 dB after 100 updates of the generators (without: 18.3 and 18.8 in two runs).
"""

from configs import dpe, unpaired_photos

_SIDE = 64


def get_config(photos=None):
    config = dpe.get_config()
    config.steps = 400
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
    config.average_decay = 0.98

    made = unpaired_photos.sections(photos, long_side=_SIDE)
    with config.unlocked():
        config.optimizer.b1 = config.critic_optimizer.b1 = 0.5
        config.data.train, config.data.heldout = made["train"], made["heldout"]
    config.batches.batch_size = 4
    config.batches.long_side = _SIDE
    config.batches.pad_to = _SIDE

    config.run.log_every = 10
    config.run.evaluate_every = 200
    config.run.sheet_photos = 3
    config.run.checkpoint_every = 200
    return config

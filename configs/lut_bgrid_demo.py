"""LUTwithBGrid on the demo's photos, once with true positions in its grids, once as published.

Command: python -m experiments.train --config=configs/lut_bgrid_demo.py --workdir=RUN
         and with --config.model.positions=integer_division, as the published kernels have it
Data: those of `configs/demo.py`: local tone mapping, which treats a colour by where it is.
Result: held-out PSNR 22.09 dB, SSIM 0.871, delta E (CIE76) 8.5 with true positions; 22.23, 0.876
  and 7.8 as published; the untouched input has 18.15, 0.855 and 16.9. Seed 0, one CPU device, jax
  0.10.2. So true positions bring nothing with five training photos; HDRNet (configs/demo.py) has
  25.13 dB after 1800 steps. Not tried: more steps, without dropout.
Cost: 600 steps, 2 minutes of processor time each.
"""

from configs import demo, lut_bgrid


def get_config():
    config = lut_bgrid.get_config()
    config.steps = 600
    config.optimizer.learning_rate = 1e-3
    with config.unlocked():
        config.schedule = demo.get_config().schedule
        config.data = demo.get_config().data
    config.batches.batch_size = 4
    config.batches.crop = 192
    config.batches.lowres_from = "photo"
    config.batches.exposure = 0.0
    config.batches.saturation = 0.0

    config.run.log_every = 25
    config.run.evaluate_every = 300
    config.run.sheet_photos = 3
    config.run.checkpoint_every = 300
    return config

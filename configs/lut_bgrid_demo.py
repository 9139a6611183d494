"""LUTwithBGrid on the demo's photos, once with true positions in its grids, once as published.

Command: python -m experiments.train --config=configs/lut_bgrid_demo.py --workdir=RUN
         and with --config.model.positions=integer_division, as the published kernels have it
Data: those of `configs/demo.py`: local tone mapping, which treats a colour by where it is.
Result: NOT YET
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

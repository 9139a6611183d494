"""Smoke test on synthetic pairs, seconds on a CPU: runs everything from data to checkpoint.

Command: python -m experiments.train --config=configs/smoke.py --workdir=RUN
Result: held-out PSNR rises from about 15 dB to above 20 dB.
Cost: 40 steps, about 15 seconds on two CPU cores, most of them compilation.
"""

from configs import hdrnet


def get_config():
    config = hdrnet.get_config()
    config.steps = 40
    config.model.net_input_size = 32
    config.model.spatial_bin = 8
    config.model.luma_bins = 4
    config.optimizer.learning_rate = 1e-2
    config.average_decay = 0.8

    with config.unlocked():
        # One source, so one target transform; its last three photos are held out.
        config.data.train = {"kind": "synthetic", "count": 19, "size": 64, "stop": 16}
        config.data.heldout = {"kind": "synthetic", "count": 19, "size": 64, "start": 16}
    config.batches.batch_size = 8
    config.batches.crop = 48

    config.run.log_every = 10
    config.run.evaluate_every = 20
    config.run.sheet_photos = 2
    config.run.checkpoint_every = 10
    return config

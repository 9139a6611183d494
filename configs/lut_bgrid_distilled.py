"""LUTwithBGrid with true positions in its grids, distilled from NeurOp on photos without targets.

Command: python -m bilateral_jax import neurop neurop_fivek_lite.pth TEACHER
         python -m bilateral_jax import lut-bgrid FiveK_sRGB.pth START --positions align_corners
         python -m experiments.train --config=configs/lut_bgrid_distilled.py --workdir=RUN
           --config.start=START --config.data.train.checkpoint=TEACHER
           --config.data.heldout.checkpoint=TEACHER --config.data.train.photos.root=PHOTOS
           --config.data.heldout.photos.root=HELDOUT
Data: any photos; the teacher's output is the target.
Result: NOT YET
"""

from ml_collections import config_dict

from configs import demo, lut_bgrid


def get_config():
    config = lut_bgrid.get_config()
    config.steps = 600
    config.optimizer.learning_rate = 3e-4
    with config.unlocked():
        config.schedule = demo.get_config().schedule
        for part in ("train", "heldout"):
            photos = {"kind": "photos", "root": "photos", "long_side": 512}
            config.data[part] = {"kind": "taught", "checkpoint": "TEACHER", "photos": photos}
            config.data[part].cache = config_dict.placeholder(str)
    config.batches.batch_size = 4
    config.batches.crop = 256
    config.batches.lowres_from = "photo"
    config.batches.exposure = 0.0
    config.batches.saturation = 0.0

    config.run.log_every = 25
    config.run.evaluate_every = 300
    config.run.sheet_photos = 3
    config.run.checkpoint_every = 300
    return config

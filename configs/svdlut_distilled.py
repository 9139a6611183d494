"""SVDLUT with true positions in its grids, distilled from NeurOp on photos without targets.

Command: python -m bilateral_jax import neurop neurop_fivek_lite.pth TEACHER
         python -m bilateral_jax import svdlut fiveK_sRGB.pth START --positions align_corners
         python -m experiments.train --config=configs/svdlut_distilled.py:PHOTOS --workdir=RUN
           --config.start=START --config.data.train.checkpoint=TEACHER
           --config.data.heldout.checkpoint=TEACHER
Data: PHOTOS, any folder; eight of its photos, drawn at random, are held out
  (open_photos:FOLDER: those of `unpaired_photos.OPEN_PHOTOS`). Each held-out photo is dulled at
  random once, the others three times; the target is the teacher's output.
Result: on 31 open photos (PHOTOS = open_photos:FOLDER), PSNR to the teacher on the eight held out:
  untouched 19.93 dB, START 29.77, after 120 steps 30.03; with positions as published, from START
  without --positions, 30.17. The teacher's result does not depend on a pixel's position, so
  nothing is gained by positions here. To expert C on five FiveK photos: START 25.46 dB, after 120
  steps 24.80, with positions as published 24.80; the teacher 27.01. Seed 0, one CPU device, jax
  0.10.2. Not tried: more steps.
Cost: 120 steps, 2.4 minutes of processor time, most of it for the targets.
"""

from ml_collections import config_dict

from configs import lut_bgrid_distilled, svdlut, unpaired_photos


def get_config(photos="photos"):
    config = lut_bgrid_distilled.get_config()
    published = svdlut.get_config()
    config.steps = 120
    config.schedule.warmup = 10
    config.run.evaluate_every = 120
    config.run.checkpoint_every = 60
    with config.unlocked():
        config.model = published.model
        config.loss = published.loss
        for part in ("train", "heldout"):
            rounds, seed = (3, 0) if part == "train" else (1, 1)
            split = unpaired_photos.source(photos, part, long_side=512)
            dull = {"kind": "dulled", "photos": split, "rounds": rounds, "seed": seed}
            dull["untouched"] = 0.0
            config.data[part] = {"kind": "taught", "checkpoint": "TEACHER", "photos": dull}
            config.data[part].cache = config_dict.placeholder(str)
    return config

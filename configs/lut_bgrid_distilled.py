"""LUTwithBGrid with true positions in its grids, distilled from NeurOp on photos without targets.

Command: python -m bilateral_jax import neurop neurop_fivek_lite.pth TEACHER
         python -m bilateral_jax import lut-bgrid FiveK_sRGB.pth START --positions align_corners
         python -m experiments.train --config=configs/lut_bgrid_distilled.py --workdir=RUN
           --config.start=START --config.data.train.checkpoint=TEACHER
           --config.data.heldout.checkpoint=TEACHER --config.data.train.photos.root=PHOTOS
           --config.data.heldout.photos.root=HELDOUT
Data: any photos; the teacher's output is the target. Here: three dulled versions (exposure -1.2 to
  0.1 stops, saturation 0.6 to 0.95, colour casts of 5 %), made before the training, of each of 31
  photos under open licences, long side 512: 84 for training, 9 of three other photos held out.
Result: PSNR to the teacher, held out: untouched 18.22 dB, START 27.28, after 600 steps 29.93; with
  positions as published, from START without --positions, 30.07. The teacher's result does not
  depend on a pixel's position, so nothing is gained by positions here. To expert C on five FiveK
  photos (docs/published_enhancers.md): START 24.66 dB, after 600 steps 24.94, with positions as
  published 24.84; the teacher 27.01. Seed 0, one CPU device, jax 0.10.2.
Cost: 600 steps, 8 minutes on two CPU cores shared with a dozen other programs.
"""

from ml_collections import config_dict

from configs import lut_bgrid_demo


def get_config():
    config = lut_bgrid_demo.get_config()
    config.optimizer.learning_rate = 3e-4
    config.batches.crop = 256
    with config.unlocked():
        for part in ("train", "heldout"):
            photos = {"kind": "photos", "root": "photos", "long_side": 512}
            config.data[part] = {"kind": "taught", "checkpoint": "TEACHER", "photos": photos}
            config.data[part].cache = config_dict.placeholder(str)
    return config

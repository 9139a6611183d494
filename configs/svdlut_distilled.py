"""SVDLUT with true positions in its grids, distilled from NeurOp on photos without targets.

Command: python -m bilateral_jax import neurop neurop_fivek_lite.pth TEACHER
         python -m bilateral_jax import svdlut fiveK_sRGB.pth START --positions align_corners
         python -m experiments.train --config=configs/svdlut_distilled.py:PHOTOS --workdir=RUN
           --config.start=START --config.data.train.checkpoint=TEACHER
           --config.data.heldout.checkpoint=TEACHER
Data: PHOTOS, any folder; eight of its photos are held out. Each is dulled at random, the others
  three times; the target is the teacher's output.
Result: not measured yet.
"""

from ml_collections import config_dict

from configs import lut_bgrid_distilled, svdlut, unpaired_photos


def get_config(photos="open_photos:photos"):
    config = lut_bgrid_distilled.get_config()
    published = svdlut.get_config()
    config.steps = 200
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

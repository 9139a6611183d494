"""HDRNet distilled from a CAN: a full-resolution network of 37,219 parameters as teacher.

Command: python -m bilateral_jax import can WEIGHTS TEACHER
         python -m experiments.train --config=configs/distil_can.py --workdir=RUN
           --config.data.train.checkpoint=TEACHER --config.data.heldout.checkpoint=TEACHER
Data: five photos bundled with Python packages, 8 variants each. For your own photos write a config
  that imports this one and sets `config.data.train.photos` to
  {"kind": "photos", "root": PHOTOS, "long_side": 768}. The teacher sees whole photos, since it
  normalises by their statistics; `cache` is a folder that keeps its outputs.
Result: non-local dehazing (published CAN24 weights), seed 0, jax 0.10.2: PSNR to the teacher on the
  three held-out photos 27.45 dB (untouched 19.75); 144 times as fast as the teacher at 1080p.
Cost: 27 minutes on two CPU cores shared with a dozen other programs; the teacher first makes 43
  images. 0.1 s per step on idle cores, as for configs/demo.py.
"""

from ml_collections import config_dict

from configs import demo


def get_config():
    config = demo.get_config()
    config.steps = 1_200
    with config.unlocked():
        for part, photos in {
            "train": {"kind": "demo_inputs", "split": "train", "variants": 8},
            "heldout": {"kind": "demo_inputs", "split": "heldout"},
        }.items():
            config.data[part] = {"kind": "taught", "checkpoint": "TEACHER", "photos": photos}
            config.data[part].cache = config_dict.placeholder(str)
    return config

"""The network that ships with the package: HDRNet, taught by two published enhancers.

Command: python -m bilateral_jax import lut3d LUTs_unpaired.pth classifier_unpaired.pth LUT3D
         python -m bilateral_jax import neurop neurop_fivek_lite.pth NEUROP
         python -m experiments.train --config=configs/default_enhancer.py --workdir=RUN
           --config.data.train.photos.photos.root=PHOTOS
         python -m tools.pack_network RUN bilateral_jax/weights/default.npz
Data: PHOTOS, a folder of photos that look good as they are; bilateral_jax/weights/default.md names
  the 16 of the network that ships. Each is dulled twelve times at random; the target is the mean of
  the teachers' outputs for the dulled photo. One in four stays as it is, its own target.
Result: PSNR to the teacher on three dulled demo photos, not trained on: 19.92 -> 28.96 dB. To
  retoucher C on five FiveK photos, not trained on: untouched 23.18 dB, 25.34, the teacher 26.76;
  no photo more than 0.5 dB below its input (docs/default_enhancer.md). With eight rounds of which
  one photo in eight is untouched: 31.50 to the teacher, 25.25, one photo 2.2 dB below its input.
  Seed 0, one CPU device, jax 0.10.2.
Cost: 2,000 steps, 5 minutes on two CPU cores, of which one to make the targets.
"""

from ml_collections import config_dict

from configs import demo


def get_config():
    config = demo.get_config()
    config.steps = 2_000
    config.batches.batch_size = 4
    config.batches.crop = 224
    with config.unlocked():
        photos = {"kind": "photos", "root": "photos", "long_side": 800}
        dull = {"kind": "dulled", "photos": photos, "rounds": 12, "untouched": 0.25, "seed": 0}
        heldout = {"kind": "demo_inputs", "split": "heldout"}
        for part, section in (
            ("train", dull),
            ("heldout", {"kind": "dulled", "photos": heldout, "seed": 1, "untouched": 0.0}),
        ):
            taught = {"kind": "taught", "photos": section, "keep_equal": True}
            config.data[part] = config_dict.ConfigDict(taught)
            config.data[part].checkpoint = ("LUT3D", "NEUROP")
            config.data[part].cache = config_dict.placeholder(str)

    config.run.log_every = 50
    config.run.evaluate_every = 1_000
    config.run.checkpoint_every = 500
    return config

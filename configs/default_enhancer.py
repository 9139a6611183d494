"""The network that ships with the package: HDRNet, taught by two published enhancers.

Command: python -m bilateral_jax import lut3d LUTs_unpaired.pth classifier_unpaired.pth LUT3D
         python -m bilateral_jax import neurop neurop_fivek_lite.pth NEUROP
         python -m experiments.train --config=configs/default_enhancer.py --workdir=RUN
           --config.data.train.photos.photos.root=PHOTOS
         python -m tools.pack_network RUN bilateral_jax/weights/default.npz
Data: PHOTOS, a folder of photos that look good as they are; bilateral_jax/weights/default.md names
  the 13 of the network that ships. Sixteen random windows of each are dulled at random; the target
  lies 0.8 of the way from the dulled photo to the mean of the teachers' outputs for it. One in four
  stays as it is, its own target; one in ten has no colours.
Result: PSNR to that target on three dulled demo photos, not trained on: 21.85 -> 28.21 dB. To
  retoucher C on five FiveK photos, not trained on: untouched 23.18 dB, 26.37, the teachers at 0.8
  27.79 (in full 26.76); no photo below its input (docs/default_enhancer.md). Seed 0, one CPU
  device, jax 0.10.2. With seed 1 30.18 and 25.98, no photo below its input either.
What was tried, to retoucher C:
  without photos that have no colours: 26.60, one photo 0.1 dB below its input (28.45 to the
    target); tint of three synthetic black-and-white images (mean difference of largest and smallest
    channel, of 255) 3.6, 10.1 and 4.7, here 2.2, 8.5 and 3.4; of a photo 10.0, here 11.2;
  16 photos, the teachers in full, exposure -1.2 to 0.1, saturation 0.6 to 0.95, contrast 0.75 to 1,
    whole photos of 800 pixels, crops of 224: 25.34, one photo 0.4 dB below its input (28.96 to that
    target, from 19.92); with one photo in eight untouched 25.25 and 2.2 dB below.
Cost: 2,000 steps, 6.6 minutes of processor time, with the targets made before.
"""

from ml_collections import config_dict

from configs import demo


def get_config():
    config = demo.get_config()
    config.steps = 2_000
    config.batches.batch_size = 4
    config.batches.crop = 160
    with config.unlocked():
        photos = {"kind": "photos", "root": "photos", "long_side": 640}
        dull = {"kind": "dulled", "photos": photos, "rounds": 16, "untouched": 0.25, "seed": 0}
        dull |= {"stops": (-1.2, 0.3), "saturation": (0.6, 1.1), "contrast": (0.7, 1.1)}
        dull |= {"cast": 0.2, "window": (0.5, 1.0), "grey": 0.15}
        heldout = {"kind": "demo_inputs", "split": "heldout"}
        for part, section in (
            ("train", dull),
            ("heldout", {"kind": "dulled", "photos": heldout, "seed": 1, "untouched": 0.0}),
        ):
            taught = {"kind": "taught", "photos": section, "strength": 0.8}
            taught |= {"keep_equal": True, "keep_grey": True}
            config.data[part] = config_dict.ConfigDict(taught)
            config.data[part].checkpoint = ("LUT3D", "NEUROP")
            config.data[part].cache = config_dict.placeholder(str)

    config.run.log_every = 50
    config.run.evaluate_every = 1_000
    config.run.checkpoint_every = 500
    return config

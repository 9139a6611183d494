"""UPE on MIT-Adobe FiveK, expert C, with the settings of the published graph or of the paper.

Command: python -m experiments.train --config=configs/upe.py --workdir=RUN
           --config.data.train.root=FIVEK --config.data.heldout.root=FIVEK
         --config=configs/upe.py:paper for the paper's losses and augmentation
Data: 4,500 photos for training, ids 4501 to 5000 held out; `FIVEK/input/a0001-NAME.jpg` and
  `FIVEK/expert_c/a0001-NAME.jpg` (docs/data.md lists other layouts). The inputs must be the dark
  "default" rendering of Lightroom, which has about 12 dB against expert C untouched; the
  rendering of the DPE split has about 21 and gives another network. The evaluation prints this
  number as that of the untouched input: check it first.
Result: not trained here, the photos were not available; the paper reports 23.04 dB and SSIM 0.893.
  `configs/upe_demo.py` has the result of a bundled set.
Cost: 11,250 steps (40 epochs in batches of 16); about 110 M multiply-adds per example for the
  coefficients, plus the crop.
"""

import ml_collections

from configs import hdrnet

PRESETS = ("released", "paper")


def get_config(preset="released"):
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {PRESETS}, got {preset!r}")
    paper = preset == "paper"
    config = hdrnet.get_config()
    config.experiment = "upe"
    config.steps = 11_250

    config.model.name = "UPE"
    config.model.preset = "paper"  # "recommended": initial illumination 0.5, area resize
    with config.unlocked():
        config.model.rendering = "graph"  # "direct": no illumination, the network predicts R
        config.loss = {
            "fidelity": 1.0,
            "smoothness": 2.0,
            "colour": 0.2 if paper else 1.0,
            "recon": "mul" if paper else "div",  # I against S * T, or I / S against T
            "colour_form": "angle" if paper else "cosine",
            # Distance of features, not in the original: 0, or about .01 with EfficientNet-Lite0.
            "content": 0.0,
            # "efficientnet-lite0", or the folder of an imported VGG or EfficientNet-Lite0
            "features": ml_collections.config_dict.placeholder(str),
            # Names of its layers; None for the network's own choice.
            "layers": ml_collections.config_dict.placeholder(tuple),
        }
        config.optimizer.clip_norm = None  # a number limits gradients where S is small

        fivek = {"kind": "fivek", "root": "fivek", "split": "upe", "expert": "c"}
        fivek |= {"on_bad": "refuse", "follow_links": False}
        # From the whole photo: a crop of 5 to 21 megapixels shows less than inference does.
        config.data.train = fivek | {"part": "train", "long_side": 1500}
        config.data.heldout = fivek | {"part": "test", "long_side": 1500}
    config.average_decay = 0.0  # the original uses the last weights

    config.batches.batch_size = 16
    config.batches.crop = 512 if paper else 256
    config.batches.lowres_from = "crop"
    config.batches.flips = paper
    config.batches.rotations = paper
    return config

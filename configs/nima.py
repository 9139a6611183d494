"""NIMA on AVA: predicts the distribution of human ratings of photos.

Command: python -m bilateral_jax import nima mobilenet_1_0_224_tf_no_top.h5 BACKBONE
         python -m experiments.train --config=configs/nima.py --workdir=RUN --config.start=BACKBONE
           --config.data.train.root=AVA --config.data.heldout.root=AVA
Data: docs/data.md has the layout of AVA; the split is 80 % for training, 20 % held out.
Recipe: `nima.py` is idealo's for AVA: five epochs of the head alone (Adam, 1e-3), then nine of the
  whole network (a new Adam, 3e-5 / (1 + 2.3e-5 t)), an epoch being 2,130 batches of 96.
  `nima.py:tid2013` is theirs for TID2013: 25 and 25 epochs of 41 batches of 64. `nima.py:paper` is
  the paper's: one phase, momentum, 3e-7 and ten times that for the head, both times 0.95 every ten
  epochs; batch size (128) and number of epochs (40) are ours, since its text was not available.
Result: not measured: neither AVA nor ImageNet weights were available. Published, with MobileNet:
  SRCC 0.510, LCC 0.518 (paper); 0.609, 0.626, EMD 0.071 (idealo). configs/nima_demo.py has the
  result of a small network on a task that needs no data set.
Cost: 0.57 G multiply-adds per photo of 224 x 224, three times that in training.
"""

import ml_collections


def get_config(recipe="ava"):
    if recipe not in ("ava", "tid2013", "paper"):
        raise ValueError(f"the recipe must be ava, tid2013 or paper, got {recipe!r}")
    config = ml_collections.ConfigDict()
    config.experiment = "nima"
    config.seed = 0
    config.steps = 29_820  # 14 epochs
    config.start = ml_collections.config_dict.placeholder(str)  # an imported or trained network

    config.model = ml_collections.ConfigDict()
    config.model.name = "NIMAMobileNet"  # NIMAVGG16, NIMAEfficientNet: other fields
    config.model.width = 1.0
    config.model.strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
    config.model.channels = (64, 128, 128, 256, 256, *(512,) * 6, 1024, 1024)
    config.model.input_size = 224
    config.model.resize = "nearest"  # as the published networks; or "antialias"
    config.model.dropout = 0.75

    # Weights in front of the head: "efficientnet-lite0" (of an installed package) for
    # NIMAEfficientNet, or a folder; None for random ones, or those of `start`.
    config.backbone = ml_collections.config_dict.placeholder(str)

    config.loss = ml_collections.ConfigDict({"exponent": 2})
    config.spread = False  # TID2013: also fit the deviation of the scores

    config.head = ml_collections.ConfigDict()
    config.head.steps = 10_650  # steps of the head alone; 0 for none, `steps` for no others
    config.head.name = "adam"
    config.head.learning_rate = 1e-3

    config.optimizer = ml_collections.ConfigDict()
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 3e-5
    config.optimizer.head_factor = 1.0  # the head's learning rate relative to the rest's

    config.schedule = ml_collections.ConfigDict()
    config.schedule.name = "inverse_time"
    config.schedule.decay = 2.3e-5
    config.average_decay = 0.0  # of the moving average of the weights: evaluated, exported
    config.accumulate = 1

    config.data = ml_collections.ConfigDict()
    config.data.train = ml_collections.ConfigDict(_ava("train"))
    config.data.heldout = ml_collections.ConfigDict(_ava("test"))

    config.batches = ml_collections.ConfigDict()
    config.batches.batch_size = 96
    config.batches.load_size = 256  # side from which squares of input_size are cropped
    config.batches.flips = True
    config.batches.threads = 2
    config.batches.workers = 0

    config.run = ml_collections.ConfigDict()
    config.run.log_every = 50
    config.run.evaluate_every = 2_000
    config.run.sheet_photos = 0
    config.run.checkpoint_every = 1_000
    config.run.max_to_keep = 3
    config.run.max_skipped = 0
    config.run.accept_changed_data = False  # resume with other photos than before
    if recipe == "tid2013":
        _tid2013(config)
    if recipe == "paper":
        _paper(config)
    return config


def _ava(part):
    # A few of its files are broken.
    photos = {"kind": "ava", "root": "AVA", "part": part}
    return photos | {"on_bad": "skip", "follow_links": False}


def _tid2013(config):
    config.steps, config.head.steps = 2_050, 1_025
    config.optimizer.learning_rate = 3e-7
    config.schedule.decay = 0.0
    config.batches.batch_size = 64
    with config.unlocked():
        images = {"kind": "tid2013", "root": "tid2013", "on_bad": "refuse", "follow_links": False}
        config.data.train = images | {"part": "train"}
        config.data.heldout = images | {"part": "test"}


def _paper(config):
    config.steps, config.head.steps = 63_880, 0  # 40 epochs of 1,597 batches
    config.optimizer.name = "momentum"
    config.optimizer.learning_rate = 3e-7
    config.optimizer.head_factor = 10.0
    config.batches.batch_size = 128
    with config.unlocked():
        config.schedule = {"name": "step", "factor": 0.95, "boundaries": (0.25, 0.5, 0.75)}

"""CAN trained to imitate an image operator, on your own pairs of photos and operator outputs.

Command: python -m experiments.train --config=configs/can.py --workdir=RUN
           --config.data.train.root=PAIRS --config.data.heldout.root=HELDOUT
         and then, at random sizes, as the paper does in the last 30 of its 180 epochs:
         python -m experiments.train --config=configs/can.py --workdir=AGAIN --config.start=RUN
           --config.steps=75000 --config.batches.short_sides=320,400,480,560,640,720 ...
Data: as for `configs/hdrnet.py`; apply an operator that depends on the image size at the training
  size, with `short_sides` empty.
Result: depends on the operator; `configs/perceptual_demo.py` has that of a bundled set. The paper:
  36 dB on average over ten operators on MIT-Adobe FiveK, which was not available.
Cost: 37 k parameters, 13 G multiply-adds for a photo of 480 x 720, three times that for a step.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = "perceptual"
    config.seed = 0
    config.steps = 375_000  # 150 epochs of 2 500 photos
    # Warm start: folder of a run or an imported model; None for random weights.
    config.start = ml_collections.config_dict.placeholder(str)

    config.model = ml_collections.ConfigDict()
    config.model.name = "CAN"  # or any network that enhances
    config.model.preset = "paper"
    config.model.width = 24  # 32 in CAN32, whose dilations go up to 128
    config.model.dilations = (1, 2, 4, 8, 16, 32, 64, 1)
    config.model.channel_order = "rgb"  # "bgr" in the published weights

    config.loss = ml_collections.ConfigDict()
    config.loss.error = "mse"  # or "l1"
    config.loss.gamma = 0.0  # weight of (10 - mean score by the critic)
    config.loss.clip = "plain"  # of the critic's input; or "straight_through"
    # Folder of a NIMA, run or imported; with gamma = 0 it is used in the evaluation only.
    config.critic = ml_collections.config_dict.placeholder(str)

    config.optimizer = ml_collections.ConfigDict()
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 1e-4
    config.optimizer.weight_decay = 0.0
    config.optimizer.clip_norm = ml_collections.config_dict.placeholder(float)

    config.schedule = ml_collections.ConfigDict()
    config.schedule.name = "constant"
    config.schedule.warmup = 0
    config.schedule.final = 0.0
    config.average_decay = 0.0  # the paper uses the last weights
    config.accumulate = 1

    config.data = ml_collections.ConfigDict()
    # on_bad: damaged photos "refuse" the start, or are left out ("skip"); follow_links: out of root
    photos = {"kind": "folder", "on_bad": "refuse", "follow_links": False}
    config.data.train = ml_collections.ConfigDict({**photos, "root": "pairs/train"})
    config.data.heldout = ml_collections.ConfigDict({**photos, "root": "pairs/heldout"})

    config.batches = ml_collections.ConfigDict()
    config.batches.batch_size = 1  # global; photos of one batch have one shape
    config.batches.short_sides = (480,)  # one at random per batch; (): original size
    # (height, width) that all photos are padded to, so that those of a batch may differ in shape.
    config.batches.pad_to = ml_collections.config_dict.placeholder(tuple)
    config.batches.paired = True  # input and target show the same scene
    config.batches.flips = True
    config.batches.threads = 2
    config.batches.workers = 0

    config.run = ml_collections.ConfigDict()
    config.run.log_every = 50
    config.run.evaluate_every = 25_000
    config.run.sheet_photos = 4
    config.run.checkpoint_every = 2_500
    config.run.max_to_keep = 3
    config.run.max_skipped = 0
    config.run.accept_changed_data = False  # resume with other photos than before
    return config

"""NeurOp on your own pairs of photos and retouched photos.

Command: python -m experiments.train --config=configs/neurop_operators.py --workdir=OPERATORS
           --config.data.train.root=PAIRS --config.data.heldout.root=HELDOUT
         python -m experiments.train --config=configs/neurop.py --workdir=RUN
           --config.start=OPERATORS
           --config.data.train.root=PAIRS --config.data.heldout.root=HELDOUT
Data: as for `configs/hdrnet.py`. The paper's: 4,500 FiveK photos with a long side of 500 pixels.
Result: not trained here at this length. The published weights, which
  `python -m bilateral_jax import neurop` reads, reproduce the published photos
  (experiments/README.md).
Cost: 28 k parameters, 2.3 G multiply-adds for a photo of 333 x 500, three times that for a step.
From the published code: the losses and their weights, the optimiser, 600,000 steps of one photo,
  flips. Ours: the original also rotates and cuts up to 20 pixels off; biases start at 0.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = "neurop"
    config.stage = "whole"
    config.seed = 0
    config.steps = 600_000
    # Warm start: folder of a run of configs/neurop_operators.py or an imported model.
    config.start = ml_collections.config_dict.placeholder(str)

    config.model = ml_collections.ConfigDict()
    config.model.name = "NeurOp"
    config.model.preset = "paper"
    config.model.operators = ("bc", "ex", "vb")
    config.model.width = 64
    config.model.encoder_width = 32

    config.loss = ml_collections.ConfigDict()
    config.loss.l1 = 1.0
    config.loss.cosine = 0.1
    config.loss.total_variation = 0.2  # 0.1 times twice the mean squared differences

    config.optimizer = ml_collections.ConfigDict()
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 5e-5
    config.optimizer.b2 = 0.99
    config.optimizer.weight_decay = 0.0
    config.optimizer.clip_norm = ml_collections.config_dict.placeholder(float)

    config.schedule = ml_collections.ConfigDict()
    config.schedule.name = "constant"
    config.schedule.warmup = 0
    config.schedule.final = 0.0
    config.average_decay = 0.0  # the original uses the last weights
    config.accumulate = 1

    config.data = ml_collections.ConfigDict()
    # on_bad: damaged photos "refuse" the start, or are left out ("skip"); follow_links: out of root
    photos = {"kind": "folder", "on_bad": "refuse", "follow_links": False}
    config.data.train = ml_collections.ConfigDict({**photos, "root": "pairs/train"})
    config.data.heldout = ml_collections.ConfigDict({**photos, "root": "pairs/heldout"})

    config.batches = ml_collections.ConfigDict()
    config.batches.batch_size = 1  # global; photos of one batch have one shape
    config.batches.short_sides = ()  # of photos larger than the published ones: (333,)
    # The network sees the whole photo: none can be padded to the shape of others.
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

"""Image-adaptive 3D LUT on your own folder of photo pairs.

Command: python -m experiments.train --config=configs/lut3d.py --workdir=RUN
           --config.data.train.root=PAIRS --config.data.heldout.root=HELDOUT
Data: `PAIRS/input/NAME` and `PAIRS/target/NAME`, the same names in both, 8 or 16 bit; the paper has
  MIT-Adobe FiveK at a short side of 480 pixels, expert C, 4,500 photos.
Result: depends on the pairs. The published weights (docs/lut3d.md) give 24.66 dB on five FiveK
  photos, their inputs 23.18; for the paper's 498 photos 25.2 to 25.3 dB are published, and
  others who trained it again report 18 to 23.7. With the paper's learning rate a step on one photo
  moves the weights of the tables by half, so that the first thousands of steps are worse than the
  input: trained on those five pairs, 19.2 dB after 600 steps, and from the original's start 15.2
  after 700 and 21.7 after 4,000. For short trainings start from the published weights
  (--config.start: 26.2 dB after 60 steps), or lower --config.optimizer.learning_rate (1e-5: 23.6
  after 400).
Cost: 594 k parameters; .05 s of processor time for a step on one crop of 300 pixels.
Of the original: losses and their weights, optimiser, initial weights but those of the last layer,
  batches of one, changes of brightness and saturation of the input. Not of the original:
  identity_start (False gives its start), crops of one size (there both sides are drawn from .6 to 1
  of the photo's), so that one program is compiled, and vertical flips.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = "lut3d"
    config.seed = 0
    config.steps = 1_800_000  # 400 epochs of 4 500 photos
    # Warm start: folder of a run or an imported model; None for the identity.
    config.start = ml_collections.config_dict.placeholder(str)

    config.model = ml_collections.ConfigDict()
    config.model.tables = 3
    config.model.nodes = 33
    config.model.normalised = 4  # of the five convolutions
    config.model.dropout = 0.5
    config.model.identity_start = True  # False in the original: random weights at first
    config.model.interpolation = "trilinear"  # or "tetrahedral"
    config.critic = None

    config.loss = ml_collections.ConfigDict()
    config.loss.mse = 1.0
    config.loss.smoothness = 1e-4
    config.loss.monotonicity = 10.0
    config.loss.adversarial = 0.0
    config.loss.gradient_penalty = 0.0

    config.optimizer = ml_collections.ConfigDict()
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 1e-4
    config.optimizer.weight_decay = 0.0
    config.optimizer.clip_norm = ml_collections.config_dict.placeholder(float)
    config.critic_optimizer = None

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
    config.batches.batch_size = 1  # global
    config.batches.crop = 384
    config.batches.paired = True  # input and target show the same scene
    config.batches.lowres_from = "crop"
    config.batches.flips = True
    config.batches.brightness = 0.2
    config.batches.saturation = 0.2
    config.batches.threads = 2
    config.batches.workers = 0

    config.run = ml_collections.ConfigDict()
    config.run.log_every = 50
    config.run.evaluate_every = 9_000
    config.run.sheet_photos = 4
    config.run.checkpoint_every = 4_500
    config.run.max_to_keep = 3
    config.run.max_skipped = 0
    config.run.accept_changed_data = False  # resume with other photos than before
    return config

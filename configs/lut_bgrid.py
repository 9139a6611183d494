"""LUTwithBGrid on your own folder of photo pairs.

Command: python -m experiments.train --config=configs/lut_bgrid.py --workdir=RUN
           --config.data.train.root=PAIRS --config.data.heldout.root=HELDOUT
Data: `PAIRS/input/NAME` and `PAIRS/target/NAME`, the same names in both, 8 or 16 bit; the paper has
  MIT-Adobe FiveK at a short side of 480 pixels, expert C, 4,500 photos. Photos smaller than the
  crop of 384 x 384 are refused: give --config.batches.crop a smaller number for them.
Result: not trained here at this length. The published weights, which `python -m bilateral_jax
  import lut-bgrid` reads, are measured in docs/published_enhancers.md.
Cost: 464 k parameters.
Of the original: losses but for LPIPS and their weights, optimiser, dropout, batches of one, changes
  of saturation of the input; its positions of pixels in the grids are
  `config.model.positions="integer_division"`, and `config.model.preset=paper` starts from random
  colours. Not of the original: positions from 0 to 1 over the photo, a start at the identity, crops
  of one size (there both sides are drawn from .6 to 1 of the photo's), vertical flips, changes of
  exposure instead of brightness.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = "adaptive_tables"
    config.seed = 0
    config.steps = 1_800_000  # 400 epochs of 4 500 photos
    # Warm start: folder of a run or an imported model; None for the network's own start.
    config.start = ml_collections.config_dict.placeholder(str)

    config.model = ml_collections.ConfigDict()
    config.model.name = "LUTwithBGrid"
    config.model.preset = "recommended"
    config.model.positions = "align_corners"
    config.model.table_nodes = 17
    config.model.grid_nodes = 17

    config.loss = ml_collections.ConfigDict()
    config.loss.mse = 1.0
    config.loss.cie94 = 0.005
    config.loss.weights = 1e-4  # of the mean square of the weights of the tables
    config.loss.total_variation = 1e-4
    config.loss.monotonicity = 10.0

    config.optimizer = ml_collections.ConfigDict()
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 1e-4
    config.optimizer.weight_decay = 0.0
    config.optimizer.clip_norm = ml_collections.config_dict.placeholder(float)

    config.schedule = ml_collections.ConfigDict()
    config.schedule.name = "step"
    config.schedule.warmup = 0
    config.schedule.boundaries = (0.25, 0.5, 0.75)  # by 0.1 every 100 epochs
    config.average_decay = 0.0  # the original uses the last weights
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
    config.batches.exposure = 0.3
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

"""HDRNet on your own folder of photo pairs.

Command: python -m experiments.train --config=configs/hdrnet.py --workdir=RUN
           --config.data.train.root=PAIRS --config.data.heldout.root=HELDOUT
Data: `PAIRS/input/NAME` and `PAIRS/target/NAME`, the same names in both, 8 or 16 bit.
Result: depends on the pairs; `configs/demo.py` has that of a bundled set.
Cost: about 45 M multiply-adds per example for the coefficients, plus the crop.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = "hdrnet"
    config.seed = 0
    config.steps = 100_000
    # Warm start: folder of a run or an imported model; None for random weights.
    config.start = ml_collections.config_dict.placeholder(str)

    config.model = ml_collections.ConfigDict()
    config.model.name = "HDRNetCurves"  # or HDRNetPointwiseNNGuide, HDRNetGaussianPyrNN
    config.model.preset = "recommended"  # "paper": all settings of the original
    config.model.luma_bins = 8
    config.model.spatial_bin = 16
    config.model.channel_multiplier = 1
    config.model.net_input_size = 256
    config.model.batch_norm = False
    config.model.dtype = "float32"  # "bfloat16": hidden features only; weights stay float32

    config.loss = ml_collections.ConfigDict()
    config.loss.mse = 1.0
    config.loss.grid_variation = 1e-4  # 0 in the original; no PSNR lost on the demo
    config.loss.identity = 0.0  # penalty towards the identity

    config.optimizer = ml_collections.ConfigDict()
    config.optimizer.name = "adam"  # sgd, momentum, adamw, lion, ...: training/schedules.py
    config.optimizer.learning_rate = 1e-4
    config.optimizer.weight_decay = 0.0
    config.optimizer.clip_norm = 1.0  # of the gradient of the whole batch

    config.schedule = ml_collections.ConfigDict()
    config.schedule.name = "constant"  # linear, cosine, step, one_cycle, ...: training/schedules.py
    config.schedule.warmup = 0
    config.schedule.final = 0.0
    config.average_decay = 0.999  # of the moving average of the weights: evaluated, exported
    config.accumulate = 1  # micro-batches per step, for batches that exceed the memory

    config.data = ml_collections.ConfigDict()
    # on_bad: damaged photos "refuse" the start, or are left out ("skip"); follow_links: out of root
    photos = {"kind": "folder", "on_bad": "refuse", "follow_links": False}
    config.data.train = ml_collections.ConfigDict({**photos, "root": "pairs/train"})
    config.data.heldout = ml_collections.ConfigDict({**photos, "root": "pairs/heldout"})

    config.batches = ml_collections.ConfigDict()
    config.batches.batch_size = 8  # global: of all devices and processes
    config.batches.crop = 512
    config.batches.paired = True  # input and target show the same scene
    config.batches.lowres_from = "photo"  # "crop" in the original
    config.batches.flips = True
    config.batches.rotations = False
    config.batches.threads = 2
    config.batches.workers = 0  # reading processes, for more cores than threads can use
    # A folder that caches decoded photos, so that a crop reads only its own rows.
    config.batches.decoded_folder = ml_collections.config_dict.placeholder(str)

    config.run = ml_collections.ConfigDict()
    config.run.log_every = 50
    config.run.evaluate_every = 2_000
    config.run.sheet_photos = 4
    config.run.checkpoint_every = 1_000
    config.run.max_to_keep = 3
    config.run.max_skipped = 0  # steps with a NaN or an infinity to skip before stopping
    config.run.accept_changed_data = False  # resume with other photos than before
    return config

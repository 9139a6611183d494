"""WESPE without pairs: photos of one camera, and good photos of anything.

Command: python -m experiments.train --config=configs/wespe.py --workdir=RUN
           --config.data.train.pairs.root=DPED --config.data.heldout.root=DPED
           --config.loss.features=VGG19
         configs/wespe.py:folders takes two folders of photos of any size, PHOTOS/input and
         PHOTOS/target: --config.data.train.root=PHOTOS --config.data.heldout.root=HELDOUT
Data: docs/data.md: the DPED patches of a phone, their pairing ignored, as WESPE[DPED] of the paper;
  or two folders, such as the phone's photos and DIV2K's, as WESPE[DIV2K]. HELDOUT holds pairs, to
  measure by. VGG19 is a folder that `python -m bilateral_jax import vgg` wrote (docs/wespe.md).
Result: not measured: the data sets were not available. The paper states 18.11 dB and SSIM .90 for
  the iPhone's test patches (DIV2K: 17.76 and .88). `configs/wespe_demo.py` was trained here.
Cost: 30 patches per step through four generators and a VGG-19, forward and backward: needs a GPU.
Of the paper: networks, losses and their weights, optimiser, batches. Not of it: the border of the
  blurred images is cropped (loss.crop_blur), averaged weights, flips and rotations, the watchdog,
  which stops a collapsed training. The learning rate is DPED's.
"""

import ml_collections


def get_config(data="dped"):
    if data not in ("dped", "folders"):
        raise ValueError(f'the data are "dped" or "folders", got {data!r}')
    config = ml_collections.ConfigDict()
    config.experiment = "wespe"
    config.seed = 0
    config.steps = 20_000
    # Warm start: folders of runs or imported weights, such as DPED's; None for random weights.
    config.start = ml_collections.ConfigDict()
    config.start.G = ml_collections.config_dict.placeholder(str)
    config.start.F = ml_collections.config_dict.placeholder(str)

    config.model = ml_collections.ConfigDict()
    config.model.width = 64
    config.model.blocks = 4
    config.model.initial = "published"  # "he" learns sooner
    config.model.residual = False  # True: starts as the identity; takes no weights of DPED
    config.model.border = "zeros"  # "reflect": the network cannot tell where the border is
    config.inverse = ml_collections.ConfigDict(config.model)
    config.critic = ml_collections.ConfigDict()
    config.critic.channels = (48, 128, 192, 192, 128)
    config.critic.hidden = 1024
    config.critic.size = 100  # of the patches, as batches.crop
    config.critic.pooled = False  # True: patches of any size
    config.critic.logits = 1
    config.critic.norm = "instance"  # "none": sees the brightness of a whole patch

    config.loss = ml_collections.ConfigDict()
    # Of the content term: "efficientnet-lite0", or the folder of an imported VGG or EfficientNet.
    config.loss.features = ml_collections.config_dict.placeholder(str)
    config.loss.layers = ml_collections.config_dict.placeholder(tuple)  # None: the network's own
    config.loss.content = 1.0  # with VGG-19's relu5_4; another network needs another weight
    config.loss.color = 5e-3
    config.loss.texture = 5e-3
    config.loss.variation = 10.0
    config.loss.cycle_mse = 0.0  # mean squared error of x and F(G(x))
    config.loss.second_cycle = 0.0  # 1: the same between y and G(F(y))
    config.loss.identity = 0.0  # mean squared error of y and G(y)
    config.loss.input_mse = 0.0  # mean squared error of x and G(x) at first
    config.loss.input_mse_updates = 500  # after which it counts nothing
    config.loss.chroma = 0.0  # 1 - correlation of a photo's chroma before and after
    config.loss.chroma_shrink = 4  # of photos reduced by this factor
    config.loss.form = "code"  # "paper": norms without square
    config.loss.blur = "code"  # "paper", or a standard deviation in pixels
    config.loss.crop_blur = True
    config.loss.adversarial = "non_saturating"
    config.loss.adversarial_reduce = "mean"  # "sum" over the batch
    config.loss.gradient_penalty = 0.0  # on the targets ("R1"); stabilises the critics

    for name in ("optimizer", "critic_optimizer"):
        config[name] = ml_collections.ConfigDict()
        config[name].name = "adam"
        config[name].learning_rate = 5e-4
        config[name].weight_decay = 0.0
        config[name].clip_norm = ml_collections.config_dict.placeholder(float)
    config.schedule = ml_collections.ConfigDict()
    config.schedule.name = "constant"
    config.schedule.warmup = 0
    config.schedule.final = 0.0
    config.average_decay = 0.999  # 0: the last weights
    config.accumulate = 1
    config.n_critic = 1  # steps of the critics for one of G and F

    # G(x) less than `below` dB from x for `patience` steps: new weights, or at last a stop.
    config.watchdog = ml_collections.ConfigDict()
    config.watchdog.below = 10.0
    config.watchdog.patience = 1_000  # 0: no watch
    config.watchdog.restarts = 0

    config.data = ml_collections.ConfigDict()
    config.data.train, config.data.heldout = _sources(data)

    config.batches = ml_collections.ConfigDict()
    config.batches.batch_size = 30
    config.batches.crop = 100
    config.batches.paired = False
    config.batches.flips = True
    config.batches.rotations = True
    config.batches.threads = 2
    config.batches.workers = 0
    config.batches.decoded_folder = ml_collections.config_dict.placeholder(str)

    config.run = ml_collections.ConfigDict()
    config.run.log_every = 50
    config.run.evaluate_every = 1_000
    config.run.sheet_photos = 8
    config.run.checkpoint_every = 1_000
    config.run.max_to_keep = 3
    config.run.max_skipped = 0
    config.run.accept_changed_data = False  # resume with other photos than before
    return config


def _sources(data):
    """Makes the sections of the sources for training and for evaluation."""
    files = {"on_bad": "refuse", "follow_links": False}
    if data == "folders":
        train = {"kind": "unpaired", "root": "photos", **files}
        heldout = {"kind": "folder", "root": "pairs/heldout", **files}
    else:
        patches = {"kind": "dped", "root": "dped", "phone": "iphone", **files}
        train = {
            "kind": "unpaired_pairs",
            "pairs": {**patches, "split": "train"},
            "disjoint_halves": False,  # True: no scene is on both sides
            "rounds": 8,
        }
        heldout = {**patches, "split": "test"}
    return ml_collections.ConfigDict(train), ml_collections.ConfigDict(heldout)

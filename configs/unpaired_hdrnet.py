"""HDRNet on two folders of unrelated photos: as taken, and of the wanted look.

Command: python -m experiments.train --config=configs/unpaired_hdrnet.py --workdir=RUN
           --config.data.train.root=PHOTOS --config.data.heldout.root=HELDOUT
         configs/unpaired_hdrnet.py:dped has DPED's two critics, of blurred colours and of grey, in
         place of a PatchGAN. `--config.mode=two_way` adds the way back.
Data: `PHOTOS/input/` and `PHOTOS/target/`, any names, in any number; `HELDOUT` holds pairs, to
  measure by.
Result: not measured at this size; nothing of this combination was published.
Cost: about 45 M multiply-adds per example for the coefficients, plus the crop and the critics.
Losses and penalty as in Deep Photo Enhancer, whose weights these are.
"""

import ml_collections

CRITICS = {
    "patch": {"name": "PatchCritic", "width": 64, "strided": 3, "norm": "none"},
    "dped": {
        "name": "DPEDCritic",
        "channels": (48, 128, 192, 192, 128),
        "hidden": 1024,
        "size": 128,  # as batches.crop, divided by loss.critic_shrink
        "pooled": False,  # True: patches of any size
    },
}


def get_config(critic="patch"):
    if critic not in CRITICS:
        raise ValueError(f"the critics are one of {tuple(CRITICS)}, got {critic!r}")
    config = ml_collections.ConfigDict()
    config.experiment = "unpaired_hdrnet"
    config.mode = "one_way"  # or "two_way"
    config.seed = 0
    config.steps = 100_000
    # Warm start of G: folder of a run or an imported model; None for the initial weights.
    config.start = ml_collections.config_dict.placeholder(str)

    config.model = ml_collections.ConfigDict()
    config.model.name = "HDRNetCurves"  # or HDRNetPointwiseNNGuide, HDRNetGaussianPyrNN
    config.model.preset = "recommended"  # starts close to the identity
    config.model.luma_bins = 8
    config.model.spatial_bin = 16
    config.model.channel_multiplier = 1
    config.model.net_input_size = 256
    config.model.batch_norm = False
    config.model.dtype = "float32"
    config.critic = ml_collections.ConfigDict(CRITICS[critic])

    config.loss = ml_collections.ConfigDict()
    config.loss.identity = 1_000.0
    config.loss.cycle = 10_000.0  # two_way only
    config.loss.adversarial = 1.0
    config.loss.form = "wasserstein"  # "least_squares", "hinge", ...: losses/adversarial.py
    config.loss.blur = "code"  # of the critics of colours
    config.loss.critic_shrink = 1  # photos are reduced by this factor before a critic sees them
    config.loss.chroma = 0.0  # 1 - correlation of a photo's chroma before and after
    config.loss.chroma_shrink = 4  # of photos reduced by this factor

    config.penalty = ml_collections.ConfigDict()
    config.penalty.weight = 10.0  # at the start; 0: no penalty
    config.penalty.form = "one_sided"  # "two_sided", "zero_centred": losses/gradient_penalties.py
    config.penalty.where = "between"  # real and generated images; or at "real" ones
    config.penalty.adaptive = True
    config.penalty.options = ml_collections.ConfigDict()
    config.penalty.options.bound = 0.05
    config.penalty.options.decay = 0.99
    config.penalty.options.factor = 2.0
    config.penalty.options.cooldown = 50
    config.penalty.options.lower_bound = ml_collections.config_dict.placeholder(float)

    config.n_critic = 1  # steps of the critics for one of the generators
    for name in ("optimizer", "critic_optimizer"):
        config[name] = ml_collections.ConfigDict()
        config[name].name = "adam"
        config[name].learning_rate = 1e-4
        config[name].weight_decay = 0.0
        config[name].clip_norm = ml_collections.config_dict.placeholder(float)
    config.schedule = ml_collections.ConfigDict()
    config.schedule.name = "linear"
    config.schedule.hold = 0.5
    config.schedule.warmup = 0
    config.schedule.final = 0.0
    config.average_decay = 0.999  # of the moving average of the weights: evaluated, exported
    config.accumulate = 1

    config.data = ml_collections.ConfigDict()
    # on_bad: damaged photos "refuse" the start, or are left out ("skip"); follow_links: out of root
    photos = {"on_bad": "refuse", "follow_links": False}
    config.data.train = ml_collections.ConfigDict({"kind": "unpaired", "root": "photos", **photos})
    config.data.heldout = ml_collections.ConfigDict({"kind": "folder", "root": "heldout", **photos})

    config.batches = ml_collections.ConfigDict()
    config.batches.batch_size = 4  # global: of all devices and processes
    config.batches.crop = 128 if critic == "dped" else 256
    config.batches.paired = False  # input and target show different scenes
    config.batches.lowres_from = "crop"  # "photo" in one-way training only
    config.batches.flips = True
    config.batches.rotations = False
    config.batches.threads = 2
    config.batches.workers = 0
    config.batches.decoded_folder = ml_collections.config_dict.placeholder(str)

    config.run = ml_collections.ConfigDict()
    config.run.log_every = 50
    config.run.evaluate_every = 2_000
    config.run.sheet_photos = 8
    config.run.checkpoint_every = 1_000
    config.run.max_to_keep = 3
    config.run.max_skipped = 0
    config.run.accept_changed_data = False  # resume with other photos than before
    return config

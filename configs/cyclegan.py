"""CycleGAN on two folders of unrelated photos: as taken, and of the wanted look.

Command: python -m experiments.train --config=configs/cyclegan.py --workdir=RUN
           --config.data.train.root=PHOTOS --config.data.heldout.root=HELDOUT
Data: `PHOTOS/input/` and `PHOTOS/target/`, any names, in any number; `HELDOUT` holds pairs, to
  measure by.
Result: not measured: no run of this size was made.
Cost: about 50 x 10^9 multiply-adds for one image of 256 x 256 through a generator; a step takes six
  such forward passes with their gradients, and two more: needs a GPU.
Of the original: networks, losses and their weights, pools of 50 images, initial weights, batches of
  one, Adam with beta1 = .5, a learning rate of 2e-4 that falls to 0 over the second half of the
  training, crops of 256 x 256, flips. Not of the original: crops are cut from the photos as they
  are, where it resizes every photo to 286 x 286 first (`kind` "shrunk" reduces photos and keeps the
  aspect ratio), and flips are both ways; the learning rate falls in every step and not in every
  epoch.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = "cyclegan"
    config.seed = 0
    config.steps = 200_000  # 200 epochs of 1,000 photos
    # Warm start of G: folder of a run; None for random weights.
    config.start = ml_collections.config_dict.placeholder(str)

    config.model = ml_collections.ConfigDict()
    config.model.width = 64
    config.model.blocks = 9
    config.model.residual = False  # the output is added to the image; not of the original
    config.critic = ml_collections.ConfigDict()
    config.critic.width = 64
    config.critic.strided = 3  # patches of 70 x 70; 2: of 34 x 34
    config.critic.norm = "instance"
    config.pool = ml_collections.ConfigDict()
    config.pool.size = 50  # 0: no pool
    config.pool.crop = 256  # as batches.crop

    config.loss = ml_collections.ConfigDict()
    config.loss.adversarial = 1.0
    config.loss.cycle = 10.0
    config.loss.identity = 5.0
    config.loss.form = "least_squares"
    # Not of the original: 1 - correlation of a photo's chroma before and after.
    config.loss.chroma = 0.0
    config.loss.chroma_shrink = 4  # of photos reduced by this factor
    config.loss.gradient_penalty = 0.0  # zero-centred, at real images; not of the original

    for name in ("optimizer", "critic_optimizer"):
        config[name] = ml_collections.ConfigDict()
        config[name].name = "adam"
        config[name].learning_rate = 2e-4
        config[name].b1 = 0.5
        config[name].weight_decay = 0.0
        config[name].clip_norm = ml_collections.config_dict.placeholder(float)
    config.schedule = ml_collections.ConfigDict()
    config.schedule.name = "linear"
    config.schedule.hold = 0.5
    config.schedule.warmup = 0
    config.schedule.final = 0.0
    config.average_decay = 0.0  # the original uses the last weights
    config.accumulate = 1

    config.data = ml_collections.ConfigDict()
    # on_bad: damaged photos "refuse" the start, or are left out ("skip"); follow_links: out of root
    photos = {"on_bad": "refuse", "follow_links": False}
    config.data.train = ml_collections.ConfigDict({"kind": "unpaired", "root": "photos", **photos})
    config.data.heldout = ml_collections.ConfigDict({"kind": "folder", "root": "heldout", **photos})

    config.batches = ml_collections.ConfigDict()
    config.batches.batch_size = 1  # global: at least the number of devices
    config.batches.crop = 256
    config.batches.paired = False  # input and target show different scenes
    config.batches.flips = True
    config.batches.rotations = False
    config.batches.threads = 2
    config.batches.workers = 0
    config.batches.decoded_folder = ml_collections.config_dict.placeholder(str)

    config.run = ml_collections.ConfigDict()
    config.run.log_every = 100
    config.run.evaluate_every = 10_000
    config.run.sheet_photos = 8
    config.run.checkpoint_every = 5_000
    config.run.max_to_keep = 3
    config.run.max_skipped = 0
    config.run.accept_changed_data = False  # resume with other photos than before
    return config

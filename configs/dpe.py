"""Deep Photo Enhancer without pairs, two-way, on MIT-Adobe FiveK.

Command: python -m experiments.train --config=configs/dpe.py --workdir=RUN
           --config.data.train.root=FIVEK --config.data.heldout.root=FIVEK
         configs/dpe.py:one_way has one generator and one critic, without the cycle.
Data: docs/data.md, "MIT-Adobe FiveK": exported as sRGB (ProPhoto exports look wrong), the lists
  of the split "dpe" beside the photos. Inputs are 2,250 photos as taken, targets other 2,250 as
  expert C retouched them. Two folders of your own: `kind` "unpaired", as in
  configs/lut3d_unpaired.py.
Result: not measured: the data set was not available. The paper states 22.37 dB for the 498 test
  photos, one-way 22.17. `configs/dpe_demo.py` is a small version on bundled photos.
Cost: two generators of 3.3 M and two critics of 1.1 M parameters at 512 x 512: needs a GPU; the
  authors state about 5 days on a P100.
Of the original: the losses and their weights, the adaptive penalty, 50 critic steps for each of the
  generators, batches of 3, constant learning rates that fall to 0 over the second half, photos with
  a long side of 512 in all eight orientations (here drawn at random). Not of the original: both
  critics give real photos the higher score; the learning rate falls in every step and not in every
  epoch; nothing is selected by the test photos.
"""

import ml_collections


def get_config(mode="two_way"):
    if mode not in ("one_way", "two_way"):
        raise ValueError(f'the unpaired modes are "one_way" and "two_way", got {mode!r}')
    config = ml_collections.ConfigDict()
    config.experiment = "dpe"
    config.mode = mode
    config.seed = 0
    config.steps = 900_000  # 150 epochs of 2 250 photos in eight orientations
    # Warm start: folder of a run or an imported generator; None for random weights.
    config.start = ml_collections.config_dict.placeholder(str)

    config.model = ml_collections.ConfigDict()
    config.model.width = 16
    config.model.size = 512  # of the training, as batches.pad_to
    config.model.norm_sets = 2 if mode == "two_way" else 1  # 1: shared by both roles
    config.model.pooled = False  # True: average over positions before the global vector
    config.critic = ml_collections.ConfigDict()
    config.critic.width = 16
    config.critic.size = 512
    config.critic.pooled = False
    config.critic.norm = "instance"  # "none": sees the brightness and contrast of a whole photo

    config.loss = ml_collections.ConfigDict()
    config.loss.identity = 1000.0
    config.loss.cycle = 10_000.0  # two-way only
    config.loss.adversarial = 1.0
    config.loss.form = "wasserstein"  # or "hinge", "least_squares", "non_saturating", "minimax"
    config.loss.chroma = 0.0  # 1 - correlation of a photo's chroma before and after
    config.loss.chroma_shrink = 4  # of photos reduced by this factor
    config.penalty = ml_collections.ConfigDict()
    config.penalty.weight = 10.0  # at the start
    config.penalty.form = "one_sided"  # "two_sided" is WGAN-GP
    config.penalty.where = "between"  # real and generated images; or at "real" ones
    config.penalty.adaptive = True
    config.penalty.options = ml_collections.ConfigDict()
    config.penalty.options.bound = 0.05
    config.penalty.options.decay = 0.99
    config.penalty.options.factor = 2.0
    config.penalty.options.cooldown = 50
    # Below this the weight is halved again, for example 0.001; None: it only grows.
    config.penalty.options.lower_bound = ml_collections.config_dict.placeholder(float)

    config.n_critic = 50  # steps of the critics for one of the generators
    for name in ("optimizer", "critic_optimizer"):
        config[name] = ml_collections.ConfigDict()
        config[name].name = "adam"
        config[name].learning_rate = 1e-5
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
    photos = {"root": "fivek", "split": "dpe", "expert": "c", "long_side": 512}
    photos |= {"on_bad": "refuse", "follow_links": False}
    config.data.train = ml_collections.ConfigDict({"kind": "fivek_unpaired", **photos})
    config.data.heldout = ml_collections.ConfigDict({"kind": "fivek", "part": "test", **photos})

    config.batches = ml_collections.ConfigDict()
    config.batches.batch_size = 3  # global
    config.batches.long_side = 512
    config.batches.pad_to = 512
    config.batches.border = "mirror"
    config.batches.paired = False  # input and target show different scenes
    config.batches.flips = True
    config.batches.rotations = True
    config.batches.threads = 2
    config.batches.workers = 0

    config.run = ml_collections.ConfigDict()
    config.run.log_every = 50
    config.run.evaluate_every = 6_000
    config.run.sheet_photos = 8
    config.run.checkpoint_every = 3_000
    config.run.max_to_keep = 3
    config.run.max_skipped = 0
    config.run.accept_changed_data = False  # resume with other photos than before
    return config

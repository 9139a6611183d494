"""DPED on aligned patches of two cameras: the published data set, or your own pairs.

Command: python -m experiments.train --config=configs/dped.py --workdir=RUN
           --config.data.train.root=DPED --config.data.heldout.root=DPED
           --config.loss.features=VGG19
         configs/dped.py:paper has the losses of the paper instead of those of its code.
Data: docs/data.md, "DPED" (the published folders); `python -m bilateral_jax align` makes pairs of
  patches from photos of your own two cameras. VGG19 is a folder that `python -m bilateral_jax
  import vgg` wrote; "efficientnet-lite0" takes the weights of an installed package, with another
  weight of the content term; without either that term is omitted (docs/dped.md).
Result: not measured: neither the data set nor the weights were available. The paper states 20.08
  dB and SSIM .9201 for the iPhone's test patches. `configs/dped_demo.py` was trained here.
Cost: about 0.8 x 10^12 multiply-adds per step in the generator (50 patches forward and backward, 50
  more forward for the critic), about as many in a VGG-19: needs a GPU.
"""

import ml_collections


def get_config(form="code"):
    if form not in ("code", "paper"):
        raise ValueError(f'the losses are those of "code" or "paper", got {form!r}')
    config = ml_collections.ConfigDict()
    config.experiment = "dped"
    config.seed = 0
    config.steps = 20_000
    # Warm start of the generator: folder of a run or imported weights; None for random weights.
    config.start = ml_collections.config_dict.placeholder(str)

    config.model = ml_collections.ConfigDict()
    config.model.width = 64
    config.model.blocks = 4
    config.model.initial = "published"  # "he" learns sooner
    config.model.residual = False  # True: the output is input + residual, at first the input
    config.model.border = "zeros"  # "reflect": the network cannot tell where the border is
    config.critic = ml_collections.ConfigDict()
    config.critic.channels = (48, 128, 192, 192, 128)
    config.critic.hidden = 1024
    config.critic.size = 100  # of the patches, as batches.crop
    config.critic.pooled = False  # True: patches of any size

    config.loss = ml_collections.ConfigDict()
    # Of the content term: "efficientnet-lite0", or the folder of an imported VGG or EfficientNet.
    config.loss.features = ml_collections.config_dict.placeholder(str)
    config.loss.layers = ml_collections.config_dict.placeholder(tuple)  # None: the network's own
    config.loss.content = 10.0  # with VGG-19's relu5_4; about 200 with EfficientNet-Lite0
    config.loss.color = 0.5
    config.loss.texture = 1.0
    config.loss.variation = 2000.0
    config.loss.mse = 0.0  # mean squared error
    config.loss.form = "code"
    config.loss.blur = "code"  # "paper", or a standard deviation in pixels
    config.loss.adversarial = "minimax"  # "non_saturating" in the paper; "hinge"
    # Number of examples that the texture term is scaled to; None: the batch, as the code does.
    config.loss.texture_examples = ml_collections.config_dict.placeholder(float)
    config.loss.gradient_penalty = 0.0  # on the targets ("R1"); stabilises the critic

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
    config.average_decay = 0.999  # 0: the last weights, as the original
    config.accumulate = 1

    config.data = ml_collections.ConfigDict()
    patches = {"kind": "dped", "root": "dped", "phone": "iphone"}
    patches |= {"on_bad": "refuse", "follow_links": False}
    config.data.train = ml_collections.ConfigDict({**patches, "split": "train"})
    config.data.heldout = ml_collections.ConfigDict({**patches, "split": "test"})

    config.batches = ml_collections.ConfigDict()
    config.batches.batch_size = 100  # the paper's 50 for the generator, 50 more for the critic
    config.batches.crop = 100
    config.batches.paired = True  # input and target show the same scene
    config.batches.flips = False
    config.batches.rotations = False
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
    return _papers(config) if form == "paper" else config


def _papers(config):
    """Sets the losses of the paper: other weights, norms, blur and sign."""
    config.loss.form = "paper"
    config.loss.blur = "paper"
    config.loss.adversarial = "non_saturating"
    config.loss.content = 1.0
    config.loss.texture = 0.4
    config.loss.color = 0.1
    config.loss.variation = 400.0
    return config

"""UPE on darkened copies of the demo's photos; evaluated on three held-out photos.

Command: python -m experiments.train --config=configs/upe_demo.py --workdir=RUN
Data: the demo's pairs (data/synthetic/demo_photos.py), their inputs darkened by 1.5 to 2.5 stops,
  with a gamma of 0.9 to 1.2 and noise; five photos in 32 versions for training, three in four
  versions held out.
Result: held-out PSNR 24.01 dB, SSIM 0.852, delta E (CIE76) 8.5; the untouched input has 9.27, 0.546
  and 43.3. Seed 0, one CPU device, jax 0.10.2; seed 1 has 21.24 dB, 0.846 and 10.8. The ablation
  is in configs/sweeps/upe.py.
Cost: 0.23 s per step and more on two shared CPU cores; 500 steps.
What was tried: low-res input of 128 and crops of 160: 23.56 dB after 400 steps.
"""

from configs import upe


def get_config():
    config = upe.get_config()
    config.steps = 500
    config.model.preset = "recommended"
    config.model.net_input_size = 64
    config.model.spatial_bin = 8
    config.optimizer.learning_rate = 1e-3
    config.schedule.name = "cosine"
    config.schedule.warmup = 50
    config.average_decay = 0.99

    with config.unlocked():
        config.optimizer.clip_norm = 1.0
        train = {"kind": "demo", "split": "train", "variants": 16}
        heldout = {"kind": "demo", "split": "heldout"}
        config.data.train = {"kind": "darkened", "pairs": train, "rounds": 2}
        config.data.heldout = {"kind": "darkened", "pairs": heldout, "rounds": 4, "seed": 1}
    config.batches.batch_size = 4
    config.batches.crop = 128
    config.batches.lowres_from = "photo"
    config.batches.flips = True

    config.run.log_every = 25
    config.run.evaluate_every = 250
    config.run.sheet_photos = 3
    config.run.checkpoint_every = 250
    return config

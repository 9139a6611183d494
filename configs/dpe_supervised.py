"""Deep Photo Enhancer on pairs: the network of the paper, trained for the PSNR to the target.

Command: python -m experiments.train --config=configs/dpe_supervised.py --workdir=RUN
           --config.data.train.root=FIVEK --config.data.heldout.root=FIVEK
Data: as for `configs/dpe.py`: 2,250 photos as taken, and the same as expert C retouched them. Pairs
  of your own: `kind` "folder", see configs/hdrnet.py.
Result: not measured: the data set was not available. The authors state 23.80 dB and SSIM .900 for
  the 498 test photos; others who trained it again report 21.2 to 21.4 (docs/dpe.md says why).
Cost: 3.3 M parameters at 512 x 512: needs a GPU.
Of the original: the loss, the optimiser, batches of 3, 50 epochs in eight orientations (here drawn
  at random), a learning rate that falls to 0 over the second half.
"""

from configs import dpe


def get_config():
    config = dpe.get_config("one_way")
    config.mode = "supervised"
    config.steps = 300_000  # 50 epochs of 2 250 photos in eight orientations
    with config.unlocked():
        for name in ("critic", "loss", "penalty", "critic_optimizer", "n_critic"):
            del config[name]
        config.data.train.update(kind="fivek", part="train_input")
    config.batches.paired = True
    return config

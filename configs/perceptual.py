"""Learned perceptual enhancement on your own pairs: a plain CAN, fine-tuned with NIMA in the loss.

Command: python -m experiments.train --config=configs/perceptual.py --workdir=RUN
           --config.start=PLAIN --config.critic=NIMA
           --config.data.train.root=PAIRS --config.data.heldout.root=HELDOUT
  where PLAIN is a run of `configs/can.py` or an imported CAN, and NIMA a trained or imported critic
Result: depends on operator and critic; `configs/perceptual_demo.py` has that of a bundled set. The
  paper's own numbers were not available.
Cost: a step of `configs/can.py` and a forward and backward pass of the critic on 224 x 224 pixels.
"""

from configs import can


def get_config():
    config = can.get_config()
    config.steps = 50_000  # 20 epochs of 2 500 photos
    config.loss.gamma = 1e-3
    config.optimizer.learning_rate = 1e-5
    config.run.evaluate_every = 5_000
    return config

"""A small CAN that imitates local tone mapping, fine-tuned with a small NIMA in the loss.

Command: python -m experiments.train --config=configs/perceptual_demo.py --workdir=RUN
           --config.start=PLAIN --config.critic=NIMA
  where PLAIN is a run of `configs/can_demo.py` and NIMA one of
  `configs/nima_critic_demo.py`
Result: three held-out photos of 112 x 168, mean, 8 bit, seed 0: from 23.07 dB (mean score of the
  inputs 4.93, of the targets 4.81) to 23.32 dB and 5.24; with gamma = 0 the same steps give 23.35
  dB and 4.98. docs/perceptual.md has eight values of gamma, also too large ones.
Cost: 20 s of processor time for the steps, about as much for compiling.
"""

from configs import can_demo


def get_config():
    config = can_demo.get_config()
    config.steps = 150
    config.loss.gamma = 1e-3
    config.optimizer.learning_rate = 1e-3
    config.run.evaluate_every = 150
    config.run.checkpoint_every = 150
    return config

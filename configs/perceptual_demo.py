"""A small CAN that imitates local tone mapping, fine-tuned with a NIMA in the loss.

Command: python -m experiments.train --config=configs/perceptual_demo.py --workdir=RUN
           --config.start=PLAIN --config.critic=NIMA
  where PLAIN is a run of `configs/can_demo.py` and NIMA one of
  `configs/nima_efficientnet_demo.py`, whose scores agree better with the truth than those of
  `configs/nima_critic_demo.py` (SRCC 0.72 against 0.60), which needs no ImageNet weights
Result: three held-out photos of 112 x 168, mean, 8 bit, seed 0, one CPU thread, jax 0.10.2: from
  22.77 dB and a mean score of 6.17 (inputs 6.12, targets 6.06) to 22.75 dB and 6.41; with gamma = 0
  the same steps give 22.82 dB and 6.21, with gamma = 1e-2 21.64 dB (less than the untouched
  input's 21.77) and 6.88. With the small critic of nima_critic_demo.py: from 23.07 dB and 4.93
  for the inputs to 23.32 dB and 5.24; docs/perceptual.md has more values of gamma.
Cost: 63 s of processor time on one thread with the programs compiled, 103 s without. With
  gamma = 0 45 s.
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

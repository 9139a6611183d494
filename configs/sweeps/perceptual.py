"""Weight gamma of the critic: fine-tunings of one plain CAN that differ in gamma alone.

Command: python -m experiments.sweep --sweep=configs/sweeps/perceptual.py --workdir=SWEEP
           --sweep.base.start=PLAIN --sweep.base.critic=NIMA
         python -m docs.figures.perceptual SWEEP perceptual
  where PLAIN is a run of `configs/can_demo.py` and NIMA one of
  `configs/nima_critic_demo.py`, or `configs/nima_efficientnet_demo.py` for a better critic
Result: PSNR against the operator and mean score by the former, held-out photos: 23.35 dB and
  4.98 with gamma = 0, 23.25 and 5.52 with 3e-3, 22.73 and 6.10 with 1e-2, 19.72 and 6.92 with 1e-1;
  all eight, a plot and the images are in docs/perceptual.md, with three values of gamma for the
  latter.
Cost: 8 trainings of a minute or two each on two shared CPU cores.
"""

from configs import perceptual_demo
from configs.sweeps import combine

# The first five are the plan; a small critic is easily exploited, as the last ones show.
GAMMAS = [0.0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1]


def get_config():
    trials = combine.product({"loss.gamma": GAMMAS})
    return combine.sweep(perceptual_demo.get_config(), trials, metric="nima")

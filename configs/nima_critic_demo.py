"""A small NIMA trained on photos with one degradation each: the critic of learned enhancement.

Command: python -m experiments.train --config=configs/nima_critic_demo.py --workdir=RUN
Data: data/synthetic/synthetic_ratings.py; crops of five photos for training; three held-out photos,
  each undegraded and with eight degradations at four strengths (99 images), for evaluation.
Result: all 99 images: SRCC 0.603 and LCC 0.609 of the mean scores, mean SRCC within each photo
  0.643, EMD 0.116 (r = 1) and 0.166 (r = 2), accuracy 0.737. Scores fall with the strength of seven
  of the eight degradations; JPEG has no effect, and one photo (china) is rated below the others
  throughout. The loss is still falling at the end. Seed 0, one CPU device, jax 0.10.2.
Cost: 1,153 s of wall clock on two cores shared with a dozen programs, a quarter of it waiting for
  input.
What was tried, held-out SRCC:
  all of MobileNet's 13 blocks, width 0.25, 112 pixels: loss 0.184 after 325 steps, hardly below
    that of a constant prediction; eight of the blocks at 96 pixels: SRCC 0.21 after 400 steps;
  crops without augmentation of colour and exposure, weaker JPEG and sharpening: 0.49 after 800
    steps, training loss 0.13; with the augmentation also 0.49, training loss 0.16;
  six degradations at the network's input size, 104 pixels: 0.57 after 800 steps.
"""

from configs import nima_demo


def get_config():
    config = nima_demo.get_config()
    config.steps = 2_600
    for part in (config.data.train, config.data.heldout):
        part.spoilt = "alone"
        part.size = (144, 216)
    config.batches.load_size = 104
    return config

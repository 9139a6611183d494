"""A small NIMA as a critic of photos that have one fault each: what learned enhancement is led by.

Command: python -m experiments.train --config=configs/nima_critic_demo.py --workdir=RUN
Data: data/synthetic/synthetic_ratings.py; windows of five photos to train on, three photos that no
  training saw, each flawless and spoilt in eight ways at four strengths (99 pictures) to judge.
Result: all 99 pictures: SRCC 0.603 and LCC 0.609 of the mean scores, mean SRCC within each photo
  0.643, EMD 0.116 (r = 1) and 0.166 (r = 2), accuracy 0.737. Scores fall with the strength of seven
  of the eight kinds; JPEG is not noticed, and one photo (china) is thought worse than the others
  throughout. The loss still falls when the steps end. Seed 0, one CPU device, jax 0.10.2.
Cost: 1,153 s of wall clock on two cores shared with (and at times stopped for) a dozen programs, a
  quarter of it waiting for pictures.
What was tried, held-out SRCC:
  all of MobileNet's 13 blocks, width 0.25, 112 pixels: loss 0.184 after 325 steps, hardly below
    that of one answer for all; eight of the blocks at 96 pixels: SRCC 0.21 after 400 steps;
  windows without change of colour and light, weaker JPEG and sharpening: 0.49 after 800 steps with
    a training loss of 0.13; with the changes 0.49, too, with a training loss of 0.16;
  six ways of spoiling at the network's own size, 104 pixels: 0.57 after 800 steps.
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

"""How well predicted scores agree with those of people, over a whole set of photos.

A correlation is no mean over examples: it needs all scores at once. So the caller gathers them, of
all devices and processes, in one order; everything here is float64 and depends on nothing else.

Receives scores [n] of a whole set from experiments.
Hands one number each to them.
"""

import numpy as np


def linear_correlation(prediction, target) -> float:
    """Measures Pearson's correlation (LCC): how near the points lie to a rising line.

    Args:
      prediction: `[n]`.
      target: `[n]`.

    Returns:
      A number in [-1, 1]; NaN where all scores of a side are equal.

    Raises:
      ValueError: not two vectors of one length of at least 2.
    """
    sides = [values - values.mean() for values in _checked(prediction, target)]
    scale = np.sqrt(np.prod([np.sum(side * side) for side in sides]))
    return float(np.clip(sides[0] @ sides[1] / scale, -1, 1)) if scale > 0 else float("nan")


def rank_correlation(prediction, target) -> float:
    """Measures Spearman's correlation (SRCC): how well the order agrees.

    Equal scores share the mean of the ranks that they take up together.

    Args:
      prediction: `[n]`.
      target: `[n]`.

    Returns:
      A number in [-1, 1]; NaN where all scores of a side are equal.

    Raises:
      ValueError: not two vectors of one length of at least 2.
    """
    return linear_correlation(*(_ranks(values) for values in _checked(prediction, target)))


def agreement(prediction, target, *, threshold: float = 5.0) -> float:
    """Measures how often both sides call a photo good (accuracy).

    Args:
      prediction: `[n]`.
      target: `[n]`.
      threshold: a photo is good if its score is above.

    Returns:
      A share in [0, 1].

    Raises:
      ValueError: not two vectors of one length of at least 2.
    """
    prediction, target = _checked(prediction, target)
    return float(np.mean((prediction > threshold) == (target > threshold)))


def _checked(prediction, target):
    sides = [np.asarray(values, np.float64) for values in (prediction, target)]
    if sides[0].shape != sides[1].shape or sides[0].ndim != 1 or sides[0].size < 2:
        raise ValueError(
            "prediction and target must both be [n] with n of at least 2, "
            f"got {sides[0].shape} and {sides[1].shape}"
        )
    return sides


def _ranks(values):
    """Ranks from 1, with the mean of their ranks for equal values."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place]

"""Agreement of predicted scores with human ratings, over a whole data set.

A correlation is not a mean over examples: it needs the scores of all devices and processes at once.
Computed in float64.
"""

import numpy as np


def linear_correlation(prediction, target) -> float:
    """Pearson's linear correlation coefficient (LCC).

    Args:
      prediction: `[n]`.
      target: `[n]`.

    Returns:
      A number in [-1, 1]; NaN where all scores of one argument are equal.

    Raises:
      ValueError: not two vectors of one length of at least 2.
    """
    centred = [values - values.mean() for values in _checked(prediction, target)]
    scale = np.sqrt(np.prod([np.sum(x * x) for x in centred]))
    return float(np.clip(centred[0] @ centred[1] / scale, -1, 1)) if scale > 0 else float("nan")


def rank_correlation(prediction, target) -> float:
    """Spearman's rank correlation coefficient (SRCC); equal scores get the mean of their ranks.

    Args:
      prediction: `[n]`.
      target: `[n]`.

    Returns:
      A number in [-1, 1]; NaN where all scores of one argument are equal.

    Raises:
      ValueError: not two vectors of one length of at least 2.
    """
    return linear_correlation(*(_ranks(values) for values in _checked(prediction, target)))


def binary_accuracy(prediction, target, *, threshold: float = 5.0) -> float:
    """Accuracy of the two classes above the threshold and not above it.

    Args:
      prediction: `[n]`.
      target: `[n]`.
      threshold: score above which a photo counts as good.

    Returns:
      A fraction in [0, 1].

    Raises:
      ValueError: not two vectors of one length of at least 2.
    """
    prediction, target = _checked(prediction, target)
    return float(np.mean((prediction > threshold) == (target > threshold)))


def _checked(prediction, target):
    vectors = [np.asarray(values, np.float64) for values in (prediction, target)]
    if vectors[0].shape != vectors[1].shape or vectors[0].ndim != 1 or vectors[0].size < 2:
        raise ValueError(
            "prediction and target must both be [n] with n of at least 2, "
            f"got {vectors[0].shape} and {vectors[1].shape}"
        )
    return vectors


def _ranks(values):
    """Ranks from 1; equal values get the mean of their ranks."""
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[group]

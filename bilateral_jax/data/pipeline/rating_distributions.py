"""Rating distributions: probabilities of the scores 1 to 10 for an image.

AVA has counts of votes; TID2013 has the mean of scores from 0 to 9 and their standard deviation,
from which the distribution of maximum entropy is computed; a score k of 0 to 9 becomes k + 1.

Reference: Talebi and Milanfar 2018, "NIMA: Neural image assessment", section III-A; the code of
idealo's image-quality-assessment for TID2013.
"""

from __future__ import annotations

import functools

import numpy as np

SCORES = 10


def distribution(element: dict, *, spread: bool = False) -> np.ndarray:
    """Computes the distribution of scores of an element of a source.

    Args:
      element: has "shares" (`[10]` probabilities), or "votes" (`[10]` counts), or "score" (mean
        opinion score from 0 to 9), perhaps with "deviation".
      spread: for a "score": match the "deviation", too, as the paper does, clipped to what a
        distribution of integer scores can have.

    Returns:
      float32 `[10]` that sums to 1.

    Raises:
      ValueError: the element has none of these, or `spread` and no deviation.
    """
    for key in ("shares", "votes"):
        if key in element:
            counts = np.asarray(element[key], np.float64)
            return (counts / counts.sum()).astype(np.float32)
    if "score" not in element:
        raise ValueError(
            f"photo {element.get('name', '')!r} has no ratings: neither shares nor votes nor a "
            f"score, only {', '.join(sorted(element))}"
        )
    score, deviation = float(element["score"]), None
    if spread:
        deviation = float(element.get("deviation", np.nan))
        if not np.isfinite(deviation):
            raise ValueError(f"photo {element.get('name', '')!r} has a score without a deviation")
        deviation = float(np.clip(deviation, *deviation_range(score)))
    return np.array(_cached(score, deviation), np.float32)


def deviation_range(mean: float, *, count: int = SCORES) -> tuple[float, float]:
    """Computes the smallest and largest deviation of integer scores with a given mean.

    Args:
      mean: in [0, count - 1].
      count: of the scores 0, 1, ..., count - 1.

    Returns:
      (smallest, largest): all votes on the two scores beside the mean, or at the two ends.
    """
    above = mean - np.floor(mean)
    return float(np.sqrt(above * (1 - above))), float(np.sqrt(mean * (count - 1 - mean)))


def maximum_entropy(mean: float, *, deviation: float | None = None, count: int = SCORES):
    """Computes the maximum-entropy distribution over the scores 0, 1, ..., count - 1.

    p_k is proportional to exp(a k), or to exp(a k + b k^2) where the deviation is given.

    Args:
      mean: of the distribution, in [0, count - 1].
      deviation: its standard deviation; None for any.
      count: number of scores.

    Returns:
      float64 `[count]` that sums to 1.

    Raises:
      ValueError: no distribution has that mean or that deviation.
    """
    scores = np.arange(count, dtype=np.float64)
    if not 0 <= mean <= count - 1:
        raise ValueError(f"mean must lie in [0, {count - 1}], got {mean}")
    low, high = deviation_range(mean, count=count)
    if deviation is not None and not low <= deviation <= high:
        raise ValueError(
            f"a distribution over 0..{count - 1} with mean {mean:g} has a deviation of "
            f"{low:g} to {high:g}, got {deviation:g}"
        )
    if high - low < 1e-6 or deviation == low:  # at an end of the scale, or beside the mean
        return np.clip(1 - np.abs(scores - mean), 0, None)
    if deviation == high:
        return np.where(scores == 0, 1 - mean / scores[-1], 0) + np.where(
            scores == scores[-1], mean / scores[-1], 0
        )
    centred = (scores - mean) / (count / 2)
    if deviation is None:
        return _solve(centred[:, None], np.zeros(1))
    moments = np.array([0.0, (2 * deviation / count) ** 2])
    return _solve(np.stack([centred, centred * centred], axis=1), moments)


def _solve(features, moments):
    """Finds the distribution whose features `[n, m]` have the given means `[m]`.

    Newton's method on the convex dual; a step that does not lower it is halved.
    """

    def dual(exponents):
        logits = features @ exponents
        largest = logits.max()
        weights = np.exp(logits - largest)
        return largest + np.log(weights.sum()) - exponents @ moments, weights / weights.sum()

    exponents = np.zeros(features.shape[1])
    value, probabilities = dual(exponents)
    for _ in range(200):
        means = probabilities @ features
        gradient = means - moments
        if np.abs(gradient).max() < 1e-14:
            break
        centred = features - means
        hessian = (centred * probabilities[:, None]).T @ centred
        step = np.linalg.lstsq(hessian, gradient, rcond=1e-15)[0]
        for _ in range(60):
            new_value, new_probabilities = dual(exponents - step)
            if new_value <= value:
                break
            step = step / 2
        else:
            break  # at the precision of floats
        exponents, value, probabilities = exponents - step, new_value, new_probabilities
    return probabilities


@functools.lru_cache(maxsize=1 << 16)
def _cached(score, deviation):
    return tuple(maximum_entropy(score, deviation=deviation).astype(np.float32).tolist())

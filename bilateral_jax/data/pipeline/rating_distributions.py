"""What people think of a photo, as the share of them that gives it 1, 2, ..., 10.

AVA counts votes; TID2013 gives the mean of scores from 0 to 9 and their spread. Of all
distributions with such a mean (and such a spread) the one that says the least else, of greatest
entropy, is taken; a score k of 0 to 9 becomes k + 1.

Receives elements with votes, a score or shares from `data/sources/ava.py`,
`data/sources/tid2013.py` and `data/synthetic/synthetic_ratings.py`.
Hands shares to `data/pipeline/rating_batches.py` and to the evaluation.

Reference: Talebi and Milanfar 2018, "NIMA: Neural image assessment", section III-A; the code of
idealo's image-quality-assessment for TID2013.
"""

from __future__ import annotations

import functools

import numpy as np

SCORES = 10


def shares(element: dict, *, spread: bool = False) -> np.ndarray:
    """Gives the distribution of scores that an element of a source tells.

    Args:
      element: has "shares" (`[10]`), or "votes" (`[10]` counts), or "score" (mean opinion from 0 to
        9), perhaps with "deviation".
      spread: for a "score": keep to the "deviation", too, as the paper does; where no distribution
        of whole scores can have it, the nearest one that it can have.

    Returns:
      float32 `[10]` that sums to 1.

    Raises:
      ValueError: the element has none of these, or a deviation is asked for and missing.
    """
    for key in ("shares", "votes"):
        if key in element:
            counts = np.asarray(element[key], np.float64)
            return (counts / counts.sum()).astype(np.float32)
    if "score" not in element:
        raise ValueError(
            f"photo {element.get('name', '')!r} has no opinions: neither shares nor votes nor a "
            f"score, only {', '.join(sorted(element))}"
        )
    score, deviation = float(element["score"]), None
    if spread:
        deviation = float(element.get("deviation", np.nan))
        if not np.isfinite(deviation):
            raise ValueError(f"photo {element.get('name', '')!r} has a score without a deviation")
        deviation = float(np.clip(deviation, *deviations(score)))
    return np.array(_cached(score, deviation), np.float32)


def deviations(mean: float, *, count: int = SCORES) -> tuple[float, float]:
    """Tells which deviations a distribution over whole scores with a given mean can have.

    Args:
      mean: in [0, count - 1].
      count: of the scores 0, 1, ..., count - 1.

    Returns:
      (smallest, largest): all opinions on the two scores beside the mean, or at the two ends.
    """
    above = mean - np.floor(mean)
    return float(np.sqrt(above * (1 - above))), float(np.sqrt(mean * (count - 1 - mean)))


def maximum_entropy(mean: float, *, deviation: float | None = None, count: int = SCORES):
    """Finds the distribution of greatest entropy over the scores 0, 1, ..., count - 1.

    It is p_k proportional to exp(a k), or exp(a k + b k^2) where the deviation is given.

    Args:
      mean: the mean that it must have, in [0, count - 1].
      deviation: the standard deviation that it must have; None for any.
      count: number of scores.

    Returns:
      float64 `[count]` that sums to 1.

    Raises:
      ValueError: no distribution has that mean or that deviation.
    """
    scores = np.arange(count, dtype=np.float64)
    if not 0 <= mean <= count - 1:
        raise ValueError(f"mean must lie in [0, {count - 1}], got {mean}")
    low, high = deviations(mean, count=count)
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
    away = (scores - mean) / (count / 2)
    if deviation is None:
        return _solve(away[:, None], np.zeros(1))
    wanted = np.array([0.0, (2 * deviation / count) ** 2])
    return _solve(np.stack([away, away * away], axis=1), wanted)


def _solve(features, wanted):
    """Newton's method on the dual: exponents `[m]` for which the features' means are as wanted.

    The dual is convex, so a step that does not lower it is halved.
    """

    def dual(exponents):
        heights = features @ exponents
        top = heights.max()
        weights = np.exp(heights - top)
        return top + np.log(weights.sum()) - exponents @ wanted, weights / weights.sum()

    exponents = np.zeros(features.shape[1])
    value, shares_ = dual(exponents)
    for _ in range(200):
        means = shares_ @ features
        slope = means - wanted
        if np.abs(slope).max() < 1e-14:
            break
        centred = features - means
        curvature = (centred * shares_[:, None]).T @ centred
        step = np.linalg.lstsq(curvature, slope, rcond=1e-15)[0]
        for _ in range(60):
            tried, shares_tried = dual(exponents - step)
            if tried <= value:
                break
            step = step / 2
        else:
            break  # as near as floats come
        exponents, value, shares_ = exponents - step, tried, shares_tried
    return shares_


@functools.lru_cache(maxsize=1 << 16)
def _cached(score, deviation):
    return tuple(maximum_entropy(score, deviation=deviation).astype(np.float32).tolist())

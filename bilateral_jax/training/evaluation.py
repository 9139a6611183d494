"""Numbers over a data set: per example, weighted, summed, divided once.

So a result depends neither on how the examples are cut into batches nor on the number of devices.

Receives per-example metrics from experiments.
Hands averages to training/records.py.
"""

import numpy as np


def average(measure, batches):
    """Averages metrics over all examples of all batches.

    Args:
      measure: `batch -> {name: values [b]}`.
      batches: iterable of batches; `batch["weight"]` `[b]` says how much an example counts, 0 for
        padding. A batch without it counts each example once.

    Returns:
      `{name: float}`, the weighted means; accumulated in float64. Values of examples with weight 0
      are ignored even if they are not finite.

    Raises:
      ValueError: nothing carries weight, or a metric is not one value per example.
    """
    sums, weight_sum = {}, 0.0
    for batch in batches:
        values = {name: np.asarray(value, np.float64) for name, value in measure(batch).items()}
        weights = np.asarray(batch.get("weight", np.ones(_length(values))), np.float64)
        for name, value in values.items():
            if value.shape != weights.shape:
                raise ValueError(
                    f"metric {name!r} must be one value per example {weights.shape}, "
                    f"got {value.shape}"
                )
            sums[name] = sums.get(name, 0.0) + float(
                np.sum(value[weights > 0] * weights[weights > 0])
            )
        weight_sum += float(weights.sum())
    if not weight_sum > 0:
        raise ValueError("there is nothing to average: no example carries weight")
    return {name: value / weight_sum for name, value in sums.items()}


def _length(values):
    return next(iter(values.values())).shape[:1]

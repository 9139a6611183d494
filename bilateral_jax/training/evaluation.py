"""Weighted means of per-example values over a data set, the same bits for any partition of it.

The values of all examples are kept and added by `math.fsum`, which rounds once, whatever the order
of its terms. So the same per-example values give the same bits however the examples are divided
into batches and between devices and processes.
"""

import math

import numpy as np


class WeightedMeans:
    """Weighted means of metrics, filled batch by batch."""

    def __init__(self):
        self._weights, self._values = [], {}

    def add(self, values, weights=None):
        """Adds a batch.

        Args:
          values: `{name: values [b]}`, the same names in every call.
          weights: `[b]`, at least 0; how much an example counts, 0 for padding, whose values are
            ignored even if they are not finite. None counts each example once.

        Raises:
          ValueError: there is no metric, names differ from those before, a metric is not one value
            per example, or a weight is negative or not finite.
        """
        values = {name: np.asarray(value, np.float64) for name, value in values.items()}
        if not values:
            raise ValueError("there is no metric to average")
        if self._values and set(values) != set(self._values):
            raise ValueError(
                f"every batch must bring the same metrics, got {sorted(values)} after "
                f"{sorted(self._values)}"
            )
        if weights is None:
            weights = np.ones(next(iter(values.values())).shape[:1])
        weights = np.asarray(weights, np.float64)
        if not (np.isfinite(weights) & (weights >= 0)).all():
            raise ValueError(f"weights must be finite and at least 0, got {weights}")
        for name, value in values.items():
            if value.shape != weights.shape or value.ndim != 1:
                raise ValueError(
                    f"metric {name!r} must be one value per example {weights.shape}, "
                    f"got {value.shape}"
                )
        counted = weights > 0
        self._weights += weights[counted].tolist()
        for name, value in values.items():
            self._values.setdefault(name, []).extend(value[counted].tolist())

    def means(self, *, gather=None):
        """Returns the weighted means over all examples, of all processes.

        Args:
          gather: collects a JSON-able value of every process into a list
            (`training.distributed.gather_values`); called once. None: there is one process.

        Returns:
          `{name: float}`, the same on every process; infinite or NaN where the value of a counted
          example is.

        Raises:
          ValueError: no example carries weight, or processes differ in the names of their metrics.
        """
        records = [[self._weights, self._values]]
        if gather is not None:
            records = gather(records[0])
        records = [(weights, values) for weights, values in records if values]
        if len({tuple(sorted(values)) for _, values in records}) > 1:
            raise ValueError(
                "every process must bring the same metrics, got "
                + " and ".join(str(sorted(values)) for _, values in records)
            )
        weights = [weight for own, _ in records for weight in own]
        if not weights:
            raise ValueError("there is nothing to average: no example carries weight")
        return {
            name: _mean([value for _, values in records for value in values[name]], weights)
            for name in records[0][1]
        }


def _mean(values, weights):
    products = [value * weight for value, weight in zip(values, weights, strict=True)]
    if not all(map(math.isfinite, products)):
        return sum(products)  # infinite or NaN, which fsum may refuse
    return math.fsum(products) / math.fsum(weights)

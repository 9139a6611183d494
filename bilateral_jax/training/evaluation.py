"""Means of per-example values over a data set, the same bits for any partition of it.

The values of all examples are kept and added by `math.fsum`, which rounds once, whatever the order
of its terms. So the same per-example values give the same bits however the examples are divided
into batches and between devices and processes.
"""

import math

import numpy as np


class ExactMeans:
    """Means of metrics over examples, filled batch by batch."""

    def __init__(self):
        self._values = {}

    def add(self, values):
        """Adds a batch.

        Args:
          values: `{name: values [b]}`, the same names in every call.

        Raises:
          ValueError: there is no metric, names differ from those before, or a metric is not one
            value per example.
        """
        values = {name: np.asarray(value, np.float64) for name, value in values.items()}
        if not values:
            raise ValueError("there is no metric to average")
        if self._values and set(values) != set(self._values):
            raise ValueError(
                f"every batch must bring the same metrics, got {sorted(values)} after "
                f"{sorted(self._values)}"
            )
        shapes = {name: value.shape for name, value in values.items()}
        if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
            raise ValueError(f"metrics must be one value per example [b], got shapes {shapes}")
        for name, value in values.items():
            self._values.setdefault(name, []).extend(value.tolist())

    def means(self, *, gather=None):
        """Returns the means over all examples, of all processes.

        Args:
          gather: collects a JSON-able value of every process into a list
            (`training.distributed.gather_values`); called once. None: there is one process.

        Returns:
          `{name: float}`, the same on every process; infinite or NaN where the value of an example
          is.

        Raises:
          ValueError: there is no example, or processes differ in the names of their metrics.
        """
        parts = [self._values] if gather is None else gather(self._values)
        parts = [part for part in parts if part]  # a process may have no example
        if not parts:
            raise ValueError("there is nothing to average: no example was added")
        names = {tuple(sorted(part)) for part in parts}
        if len(names) > 1:
            listed = " and ".join(str(list(each)) for each in sorted(names))
            raise ValueError(f"every process must bring the same metrics, got {listed}")
        return {name: _mean([v for part in parts for v in part[name]]) for name in parts[0]}


def _mean(values):
    finite = all(map(math.isfinite, values))
    return (math.fsum(values) if finite else sum(values)) / len(values)

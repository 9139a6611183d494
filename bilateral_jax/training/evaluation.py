"""Numbers over a data set: per example, weighted, summed exactly, divided once.

A sum of floats depends on the order and the grouping of its terms; here the terms are added as
fractions, which lose nothing, and one division rounds the result. So the same per-example values
give the same bits however the examples are cut into batches and shared between devices and
processes.

Receives per-example metrics from experiments; the other processes' sums through a gather function.
Hands averages to training/summary_writer.py.
"""

import fractions
import math

import numpy as np


def average(measure, batches, *, gather=None):
    """Averages metrics over all examples of all batches, and of all processes.

    Args:
      measure: `batch -> {name: values [b]}`, the same names for every batch.
      batches: iterable of batches; `batch["weight"]` `[b]` says how much an example counts, 0 for
        padding. A batch without it counts each example once. May be empty where other processes
        have examples.
      gather: how this process learns of the others' sums: `value -> list of values`, one of each
        process, for values that JSON can write (`training/distributed.gather_values`). Called
        once. None: there are no others.

    Returns:
      `{name: float}`, the weighted means, the same on every process. Values of examples with
      weight 0 are ignored even if they are not finite; an infinite or undefined value of a counted
      example makes the mean so.

    Raises:
      ValueError: nothing carries weight, a weight is negative or not finite, a metric is not one
        value per example, or batches (or processes) differ in the names of their metrics.
    """
    totals = Totals()
    for batch in batches:
        totals.add(measure(batch), batch.get("weight"))
    return totals.means(gather=gather)


class Totals:
    """Exact weighted sums of metrics, to be filled batch by batch."""

    def __init__(self):
        self._sums, self._weight = {}, fractions.Fraction(0)
        self._unbounded = {}  # name -> sum of the infinities and NaN, which are no fractions

    def add(self, values, weights=None):
        """Adds a batch.

        Args:
          values: `{name: values [b]}`.
          weights: `[b]`, at least 0; None counts each example once.

        Raises:
          ValueError: as for `average`.
        """
        values = {name: np.asarray(value, np.float64) for name, value in values.items()}
        self._expect(values)
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
        exact = [fractions.Fraction(weight) for weight in weights[counted].tolist()]
        self._weight += sum(exact)
        for name, value in values.items():
            for each, weight in zip(value[counted].tolist(), exact, strict=True):
                if math.isfinite(each):
                    self._sums[name] += fractions.Fraction(each) * weight
                else:
                    self._unbounded[name] += each

    def means(self, *, gather=None):
        """Divides the sums, of all processes, by the weight.

        Args:
          gather: as for `average`.

        Returns:
          `{name: float}`, the float64 nearest to the exact mean.

        Raises:
          ValueError: nothing carries weight, or processes differ in the names of their metrics.
        """
        everything = self
        if gather is not None:
            everything = Totals()
            for record in gather(self._record()):
                everything._merge(record)
        if not everything._weight > 0:
            raise ValueError("there is nothing to average: no example carries weight")
        return {
            name: float(total / everything._weight) + everything._unbounded[name]
            for name, total in everything._sums.items()
        }

    def _expect(self, names):
        if not names:
            raise ValueError("there is no metric to average")
        if not self._sums:
            self._sums = dict.fromkeys(names, fractions.Fraction(0))
            self._unbounded = dict.fromkeys(names, 0.0)
        if set(names) != set(self._sums):
            raise ValueError(
                f"every batch must bring the same metrics, got {sorted(names)} after "
                f"{sorted(self._sums)}"
            )

    def _record(self):
        sums = {
            name: (str(total), str(self._unbounded[name])) for name, total in self._sums.items()
        }
        return {"weight": str(self._weight), "sums": sums}

    def _merge(self, record):
        if not record["sums"]:
            return  # a process without examples
        self._expect(record["sums"])
        self._weight += fractions.Fraction(record["weight"])
        for name, (total, unbounded) in record["sums"].items():
            self._sums[name] += fractions.Fraction(total)
            self._unbounded[name] += float(unbounded)

"""Averages of the metrics between two log lines, and the seconds spent.

What was added since the last line is part of a run's state: it is saved with a checkpoint, so that
a resumed run writes the very line that it would have written without the interruption.
"""

import math

import jax

from bilateral_jax.training import step as step_lib


class MetricAverages:
    """Sums since the last log line; skipped steps are counted and enter no average.

    Attributes:
      skipped: steps skipped since the beginning of the run.
      shown: `{name: value}`, smoothed over some ten values, for a progress bar.
    """

    def __init__(self, examples_per_step=1):
        self._examples = examples_per_step
        self._sums, self._counts, self._skips = {}, {}, 0
        self._seconds = {}
        self._timed, self._clock = 0, 0.0
        self.skipped, self.shown = 0, {}

    def get_state(self):
        """Returns the sums and counts so far, as a JSON-able dict."""
        return {
            "sums": dict(self._sums),
            "counts": dict(self._counts),
            "skips": self._skips,
            "skipped": self.skipped,
        }

    def set_state(self, saved):
        """Continues from what `get_state` returned; the seconds start at zero.

        Raises:
          ValueError: `saved` is not what `get_state` returns.
        """
        if not _are_averages(saved):
            raise ValueError(f"expected averages of metrics, got {str(saved)[:200]}")
        self._sums = dict(saved["sums"])
        # Before metrics had counts of their own, one number held for all of them.
        counts = saved["counts"] if "counts" in saved else dict.fromkeys(self._sums, saved["count"])
        self._counts = dict(counts)
        self._skips, self.skipped = saved["skips"], saved["skipped"]

    def add(self, metrics):
        """Adds the metrics of one step.

        Args:
          metrics: `{name: scalar or step.Counted}`; with a "skipped" of 1 the others do not count.

        Returns:
          The names of metrics that are not finite; if there are any, nothing was added but the
          count of skipped steps.
        """
        metrics = {name: _counted(metric) for name, metric in jax.device_get(metrics).items()}
        bad = [name for name, (value, _) in metrics.items() if not math.isfinite(value)]
        if metrics.pop("skipped", (0, 1))[0] or bad:
            self._skips, self.skipped = self._skips + 1, self.skipped + 1
            return bad
        for name, (value, count) in metrics.items():
            if not count:
                continue
            self._sums[name] = self._sums.get(name, 0.0) + value * count
            self._counts[name] = self._counts.get(name, 0) + count
            before = self.shown.get(name, value)
            self.shown[name] = before + 0.1 * (value - before)
        return []

    def add_seconds(self, **seconds):
        """Adds seconds spent: in `input` and `step` (both, once per step), or in `hooks`."""
        for name, more in seconds.items():
            self._seconds[name] = self._seconds.get(name, 0.0) + more
        if "step" in seconds:
            self._timed, self._clock = self._timed + 1, self._clock + sum(seconds.values())

    def reset_speed(self):
        """Leaves the steps up to now out of the speed."""
        self._timed, self._clock = 0, 0.0

    @property
    def speed(self):
        """Examples per second since the last line without the hooks; NaN if nothing was timed."""
        return self._timed * self._examples / self._clock if self._timed else math.nan

    def take(self):
        """Returns the averages since the last call and resets them.

        Returns:
          `{name: float}`: the averaged metrics, "skipped" if steps were, "images_per_second" where
          it could be measured, and "seconds_input", "seconds_step", "seconds_hooks": totals since
          the line before. A metric that no step of the line has measured is absent.
        """
        line = {name: total / self._counts[name] for name, total in self._sums.items()}
        if self._skips:
            line["skipped"] = self._skips
        if math.isfinite(self.speed):
            line["images_per_second"] = self.speed
        line |= {f"seconds_{name}": seconds for name, seconds in self._seconds.items()}
        self._sums, self._counts, self._skips, self._seconds = {}, {}, 0, {}
        self.reset_speed()
        return line


def values(metrics):
    """Turns the metrics of one step into floats.

    Args:
      metrics: `{name: scalar or step.Counted}`.

    Returns:
      `{name: float}`, without those whose count is 0.
    """
    counted = {name: _counted(metric) for name, metric in jax.device_get(metrics).items()}
    return {name: value for name, (value, count) in counted.items() if count}


def _counted(metric):
    if isinstance(metric, step_lib.Counted):
        return float(metric.value), float(metric.count)
    return float(metric), 1


def _are_averages(saved):
    """Whether a value out of a file has the entries that `set_state` reads, of their types."""
    if not isinstance(saved, dict) or not isinstance(saved.get("sums"), dict):
        return False
    counts = saved.get("counts", dict.fromkeys(saved["sums"], saved.get("count")))
    if not isinstance(counts, dict) or counts.keys() != saved["sums"].keys():
        return False
    numbers = [*saved["sums"].values(), *counts.values(), saved.get("skips"), saved.get("skipped")]
    return all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)

"""Averages of the metrics between two lines of the record, and where the seconds went.

What was added since the last line is part of a run's state: it is saved with a checkpoint, so that
a run which goes on writes the very line that it would have written.

Receives metrics and seconds from training/loop.py.
Hands averages back to it, for the record and the progress bar.
"""

import math

import jax


class Averages:
    """Sums since the last line; steps that were skipped are counted, and averaged by nothing.

    Attributes:
      skipped: steps skipped since the beginning of the run.
      shown: `{name: value}`, smoothed over some ten steps, for a progress bar.
    """

    def __init__(self, examples_per_step=1):
        self._examples = examples_per_step
        self._sums, self._count, self._skips = {}, 0, 0
        self._seconds = {}
        self._timed, self._clock = 0, 0.0
        self.skipped, self.shown = 0, {}

    def get_state(self):
        """Gives what a run that goes on must know, as a JSON-able dict."""
        return {
            "sums": dict(self._sums),
            "count": self._count,
            "skips": self._skips,
            "skipped": self.skipped,
        }

    def set_state(self, saved):
        """Goes on from what `get_state` gave; the seconds start anew."""
        self._sums, self._count = dict(saved["sums"]), saved["count"]
        self._skips, self.skipped = saved["skips"], saved["skipped"]

    def add(self, metrics):
        """Adds the metrics of one step.

        Args:
          metrics: `{name: scalar}`; with a "skipped" of 1 the others do not count.

        Returns:
          The names of metrics that are not finite; if there are any, nothing was added but the
          count of skipped steps.
        """
        metrics = {name: float(value) for name, value in jax.device_get(metrics).items()}
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        if metrics.pop("skipped", 0) or bad:
            self._skips, self.skipped = self._skips + 1, self.skipped + 1
            return bad
        for name, value in metrics.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            before = self.shown.get(name, value)
            self.shown[name] = before + 0.1 * (value - before)
        self._count += 1
        return []

    def spend(self, **seconds):
        """Adds to the seconds spent: for `input` and `step` (both, once per step), for `hooks`."""
        for what, more in seconds.items():
            self._seconds[what] = self._seconds.get(what, 0.0) + more
        if "step" in seconds:
            self._timed, self._clock = self._timed + 1, self._clock + sum(seconds.values())

    def forget_speed(self):
        """Leaves the steps up to now out of the speed."""
        self._timed, self._clock = 0, 0.0

    @property
    def speed(self):
        """Examples per second since the last line without the hooks; NaN if nothing was timed."""
        return self._timed * self._examples / self._clock if self._timed else math.nan

    def take(self):
        """Gives the line's values and starts the next.

        Returns:
          `{name: float}`: the averaged metrics, "skipped" if steps were, "images_per_second" where
          it could be measured, and "seconds_input", "seconds_step", "seconds_hooks": totals since
          the line before.
        """
        line = {name: total / self._count for name, total in self._sums.items()}
        if self._skips:
            line["skipped"] = self._skips
        if math.isfinite(self.speed):
            line["images_per_second"] = self.speed
        line |= {f"seconds_{what}": seconds for what, seconds in self._seconds.items()}
        self._sums, self._count, self._skips, self._seconds = {}, 0, 0, {}
        self.forget_speed()
        return line

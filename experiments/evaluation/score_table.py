"""Table of scores, one row per image: summary, ranking, `scores.csv` and `scores.json`."""

import csv
import io
import json
import math
import pathlib
import statistics

from bilateral_jax import atomic
from bilateral_jax.training import evaluation
from experiments.evaluation import protocol


class ScoreTable:
    """Rows `{"name", "height", "width", metric: value, "input_" + metric: value}`.

    Attributes:
      metrics: `{name: Metric}`, the columns.
      rows: the scored images, in order; None where an image was too small for a metric.
      failed: list of (name, reason) of images that could not be scored.
    """

    def __init__(self, metrics):
        self.metrics, self.rows, self.failed = metrics, [], []

    def left_out(self):
        """Number of rows without a value, `{metric: count}`: such a metric has no mean."""
        counts = {name: sum(row[name] is None for row in self.rows) for name in self.metrics}
        return {name: count for name, count in counts.items() if count}

    def complete(self):
        """Metrics that every row has a value of."""
        return {name: m for name, m in self.metrics.items() if name not in self.left_out()}

    def summary(self):
        """Mean, median, lowest and highest of every column, `{statistic: {column: number}}`.

        The mean is summed exactly and rounded once.

        Raises:
          ValueError: there are no rows.
        """
        columns = [n for n in self.complete() if n in self.rows[0]] if self.rows else []
        columns += [
            protocol.INPUT + name for name in columns if protocol.INPUT + name in self.rows[0]
        ]
        totals = evaluation.ExactMeans()
        for row in self.rows:
            totals.add({name: [row[name]] for name in columns})
        return {"mean": totals.means()} | {
            statistic: {name: function(row[name] for row in self.rows) for name in columns}
            for statistic, function in (
                ("median", statistics.median),
                ("lowest", min),
                ("highest", max),
            )
        }

    def ranked(self, name):
        """Sorts the rows by a metric, best first; an undefined value is the worst."""
        sign = -1 if self.metrics[name].higher_is_better else 1

        def key(row):
            value = row[name]
            return (True, 0.0) if value is None or math.isnan(value) else (False, sign * value)

        return sorted(self.rows, key=key)

    def write(self, folder, about):
        """Writes `scores.csv` (one row per image) and `scores.json` (protocol and summary).

        Args:
          folder: created if absent; earlier scores in it are replaced.
          about: JSON-able dict added to `scores.json`: model, source, versions.
        """
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        atomic.write_text(folder / "scores.csv", self._csv())
        record = {
            "protocol": {
                "rounding": protocol.ROUNDING,
                **{name: metric.protocol for name, metric in self.metrics.items()},
            },
            "pictures": len(self.rows),
            "failed": [{"name": name, "reason": reason} for name, reason in self.failed],
            "left_out": self.left_out(),
            **_finite(self.summary()),
            **about,
        }
        text = json.dumps(record, indent=2, allow_nan=False) + "\n"
        atomic.write_text(folder / "scores.json", text)

    def text(self, *, title):
        """Formats the summary for a terminal.

        Args:
          title: first cell of the header.

        Returns:
          Text.
        """
        summary, columns = self.summary(), self.complete()
        lines = [f"{title:34s}" + "".join(f"{metric.title:>11s}" for metric in columns.values())]
        for label, prefix in (("untouched input", protocol.INPUT), ("output", "")):
            for statistic in ("mean", "median"):
                values = summary[statistic]
                if all(prefix + name in values for name in columns):
                    cells = (
                        f"{values[prefix + name]:.{metric.digits}f}"
                        for name, metric in columns.items()
                    )
                    lines.append(
                        f"  {f'{label}, {statistic}':32s}" + "".join(f"{c:>11s}" for c in cells)
                    )
        first = next(iter(columns), None)
        if first and len(self.rows) > 1:
            digits, ranked = columns[first].digits, self.ranked(first)
            ends = [f"{row['name']} ({row[first]:.{digits}f})" for row in (ranked[0], ranked[-1])]
            lines.append(f"  by {columns[first].title}: best {ends[0]}, worst {ends[1]}")
        for name, count in self.left_out().items():
            size = self.metrics[name].smallest
            lines.append(
                f"  {self.metrics[name].title} is left out: {count} of {len(self.rows)} images "
                f"have a side shorter than the {size} pixels it needs"
            )
        if self.failed:
            count = len(self.rows) + len(self.failed)
            lines.append(
                f"  {len(self.failed)} of {count} images failed; all numbers are over the other "
                f"{len(self.rows)}"
            )
        return "\n".join(lines)

    def _csv(self):
        names = ["name", "height", "width", *self.metrics]
        names += [protocol.INPUT + name for name in self.metrics]
        present = [name for name in names if any(name in row for row in self.rows)]
        text = io.StringIO()
        writer = csv.DictWriter(text, present, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()


def _finite(summary):
    """Replaces infinity (the PSNR of equal images) and NaN, which JSON lacks, by None."""
    return {
        statistic: {name: value if math.isfinite(value) else None for name, value in values.items()}
        for statistic, values in summary.items()
    }

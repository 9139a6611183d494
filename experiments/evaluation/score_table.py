"""The scores of many pictures: one row each, what they come to, and the files that keep them.

Receives rows from experiments/evaluate.py.
Hands `scores.csv`, `scores.json` and a table to the user.
"""

import csv
import io
import json
import math
import pathlib
import statistics

from bilateral_jax import atomic
from bilateral_jax.training import evaluation
from experiments.evaluation import protocol

_BEFORE = "input_"


class Scorebook:
    """Rows `{"name", "height", "width", metric: value, "input_" + metric: value}`.

    Attributes:
      metrics: `{name: Metric}`, the columns.
      rows: what was scored, in order; None stands where a picture was too small for a metric.
      failed: list of (name, reason) of pictures that could not be scored.
    """

    def __init__(self, metrics):
        self.metrics, self.rows, self.failed = metrics, [], []

    def left_out(self):
        """Gives `{metric: how many rows lack it}`: such a metric has no mean."""
        counts = {name: sum(row[name] is None for row in self.rows) for name in self.metrics}
        return {name: count for name, count in counts.items() if count}

    def complete(self):
        """Gives the metrics that every row has."""
        return {name: m for name, m in self.metrics.items() if name not in self.left_out()}

    def summary(self):
        """Gives `{statistic: {column: number}}` over all rows; the mean is exact and rounded once.

        Raises:
          ValueError: there are no rows.
        """
        columns = [n for n in self.complete() if n in self.rows[0]] if self.rows else []
        columns += [_BEFORE + name for name in columns if _BEFORE + name in self.rows[0]]
        totals = evaluation.Totals()
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
        """Gives the rows from the best to the worst by a metric; an undefined value is worst."""
        sign = -1 if self.metrics[name].higher_is_better else 1

        def place(row):
            value = row[name]
            return (True, 0.0) if value is None or math.isnan(value) else (False, sign * value)

        return sorted(self.rows, key=place)

    def write(self, folder, about):
        """Writes `scores.csv` (a row per picture) and `scores.json` (protocol and summary).

        Args:
          folder: created if absent; its earlier scores are replaced.
          about: JSON-able dict: what was scored, by what, with what.
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
        """Writes the summary for a terminal.

        Args:
          title: what the first line says.

        Returns:
          Lines of text.
        """
        summary, columns = self.summary(), self.complete()
        lines = [f"{title:34s}" + "".join(f"{metric.title:>11s}" for metric in columns.values())]
        for label, prefix in (("untouched input", _BEFORE), ("output", "")):
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
                f"  {self.metrics[name].title} is left out: {count} of {len(self.rows)} pictures "
                f"have a side shorter than the {size} pixels it needs"
            )
        if self.failed:
            count = len(self.rows) + len(self.failed)
            lines.append(
                f"  {len(self.failed)} of {count} pictures failed; all numbers are over the other "
                f"{len(self.rows)}"
            )
        return "\n".join(lines)

    def _csv(self):
        names = ["name", "height", "width", *self.metrics]
        names += [_BEFORE + name for name in self.metrics]
        present = [name for name in names if any(name in row for row in self.rows)]
        text = io.StringIO()
        writer = csv.DictWriter(text, present, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()


def _finite(summary):
    """JSON has no infinity (equal pictures) and no NaN: null."""
    return {
        statistic: {name: value if math.isfinite(value) else None for name, value in values.items()}
        for statistic, values in summary.items()
    }

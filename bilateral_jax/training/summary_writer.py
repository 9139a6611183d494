"""Writes a run's metrics: `metrics.jsonl` and `tensorboard/` in its work directory."""

import contextlib
import json
import math
import pathlib

from bilateral_jax import atomic, regular_files


class SummaryWriter:
    """Writes scalars and images of a run; resuming removes what was written after that step."""

    def __init__(self, workdir, *, step=0):
        """Opens the files.

        Args:
          workdir: folder of the run; created if absent.
          step: the step from which the run is resumed; lines of later steps are removed first.
        """
        import tensorboardX

        workdir = pathlib.Path(workdir)
        workdir.mkdir(parents=True, exist_ok=True)
        self._path = workdir / "metrics.jsonl"
        if self._path.exists():
            _keep_until(self._path, step)
        self._lines = self._path.open("a", encoding="utf-8")
        self._board = tensorboardX.SummaryWriter(
            str(workdir / "tensorboard"),
            purge_step=step + 1 if step else None,
            filename_suffix=f".{step}",
        )

    def scalars(self, kind, step, values):
        """Writes one line `{"kind": kind, "step": step, name: value, ...}`, also to TensorBoard.

        Args:
          kind: for example "train" or "eval"; the group in TensorBoard.
          step: number of updates done.
          values: `{name: number}`; infinities and NaN become null in the JSON lines.
        """
        values = {name: float(value) for name, value in values.items()}
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self._lines.write(json.dumps({"kind": kind, "step": int(step), **finite}) + "\n")
        self._lines.flush()
        for name, value in values.items():
            self._board.add_scalar(f"{kind}/{name}", value, int(step))

    def image(self, name, step, pixels):
        """Writes an image to TensorBoard.

        Args:
          name: tag of the image.
          step: number of updates done.
          pixels: uint8 `[h, w, 3]`.
        """
        self._board.add_image(name, pixels, int(step), dataformats="HWC")

    def __enter__(self):
        return self

    def __exit__(self, kind, *exception):
        # The error that ended the run matters more than a failure to write the last lines.
        with contextlib.suppress(*(() if kind is None else (OSError,))):
            self.close()

    def close(self):
        """Flushes and closes the files."""
        with contextlib.closing(self._board), self._lines:
            pass


class NullWriter:
    """A `SummaryWriter` that writes nothing, for processes other than the first."""

    def scalars(self, kind, step, values):
        """Does nothing."""

    def image(self, name, step, pixels):
        """Does nothing."""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass


def read(workdir, kind=None):
    """Reads the lines of `metrics.jsonl`, also of a run that is going on.

    Args:
      workdir: the run's folder.
      kind: None for all lines, or one kind, such as "train" or "eval".

    Returns:
      A list of dicts, in the order written; empty if there is no such file. A last line that is
      incomplete is left out.

    Raises:
      ValueError: the file is no regular one, or another line is no record; it is named.
    """
    path = pathlib.Path(workdir) / "metrics.jsonl"
    records = [record for _, record in _records(path)] if path.exists() else []
    return [record for record in records if kind in (None, record["kind"])]


def _records(path):
    """Gives each complete line of the file with its record."""
    records = []
    text = regular_files.read_bytes(path).decode("utf-8", errors="replace")
    for number, line in enumerate(text[: text.rfind("\n") + 1].split("\n")[:-1], 1):
        if fault := _fault(record := _parsed(line)):
            raise ValueError(f"line {number} of {path} {fault}; remove that line to go on")
        records.append((f"{line}\n", record))
    return records


def _parsed(line):
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _fault(record):
    """Says why a parsed line is none that `SummaryWriter` wrote; None if it can be."""
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        return "is no record of metrics"
    for name, value in record.items():
        if name != "kind" and not isinstance(value, int | float | None):
            return f"has {name} {str(value)[:60]!r}, expected a number"
    return None if type(record.get("step")) is int else "has no step"


def _keep_until(path, step):
    """Removes lines of later steps, and a last line that was cut off when the process died."""
    kept = [line for line, record in _records(path) if record["step"] <= step]
    atomic.write_text(path, "".join(kept))

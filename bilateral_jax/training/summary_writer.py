"""Writes a run's metrics: `metrics.jsonl` and `tensorboard/` in its work directory."""

import contextlib
import json
import math
import pathlib

from bilateral_jax import atomic


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
    """
    path = pathlib.Path(workdir) / "metrics.jsonl"
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    return [line for line in lines if kind in (None, line["kind"])]


def _keep_until(path, step):
    """Removes lines of later steps, and a last line that was cut off when the process died."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n") and json.loads(line)["step"] <= step:
            kept.append(line)
    atomic.write_text(path, "".join(kept))

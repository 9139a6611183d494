"""What a run writes down: JSON lines for programs, TensorBoard files for eyes.

Receives numbers and pictures from training/loop.py and training/evaluation.py.
Hands files to the reader: `metrics.jsonl` and `tensorboard/` in the run's work directory.
"""

import contextlib
import json
import math
import pathlib

from bilateral_jax import atomic


class Records:
    """Writes scalars and pictures of a run; resuming drops what was written after that step."""

    def __init__(self, workdir, *, step=0):
        """Opens the files.

        Args:
          workdir: folder of the run; created if absent.
          step: the step from which the run goes on; lines of later steps are removed first.
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
        """Shows a picture in TensorBoard.

        Args:
          name: tag of the picture.
          step: number of updates done.
          pixels: uint8 `[h, w, 3]`.
        """
        self._board.add_image(name, pixels, int(step), dataformats="HWC")

    def __enter__(self):
        return self

    def __exit__(self, kind, *exception):
        # What ended the run is the news; that a full disk takes no last line either is none.
        with contextlib.suppress(*(() if kind is None else (OSError,))):
            self.close()

    def close(self):
        """Writes what is still held back and closes the files."""
        with contextlib.closing(self._board), self._lines:
            pass


class Silence:
    """Takes what `Records` takes and writes nothing: for processes beside the first."""

    def scalars(self, kind, step, values):
        """Drops a line."""

    def image(self, name, step, pixels):
        """Drops a picture."""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass


def read(workdir, kind=None):
    """Reads the lines of `metrics.jsonl`.

    Args:
      workdir: the run's folder.
      kind: None for all lines, or the kind wanted, as "train" or "eval".

    Returns:
      A list of dicts, in the order written.
    """
    text = (pathlib.Path(workdir) / "metrics.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    return [line for line in lines if kind in (None, line["kind"])]


def _keep_until(path, step):
    """Removes lines of later steps, and a last line that was cut off when the process died."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n") and json.loads(line)["step"] <= step:
            kept.append(line)
    atomic.write_text(path, "".join(kept))

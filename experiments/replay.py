"""Replays a failed training step: `python -m experiments.replay RUN/failure/step_0001234`.

Prints which values of the batch and of the state were not finite before the step, and compares the
metrics of the replayed step with those that stopped the run. Exit code 0 if they agree, else 1.
"""

import math
import pathlib
import sys
from typing import Any, NamedTuple

import jax
import numpy as np

from bilateral_jax.checkpoints import trees
from bilateral_jax.cli import compilation_cache, errors
from bilateral_jax.training import parallel
from experiments import experiment
from experiments.runs import failure


class Step(NamedTuple):
    """A failed step.

    Attributes:
      paper: the experiment, as experiments/train.py builds it.
      state: the state before the step, NumPy leaves.
      batch: the batch, rows of all processes.
      about: content of `failure.json`.
    """

    paper: Any
    state: Any
    batch: dict
    about: dict


def load(folder):
    """Loads a failed step.

    Args:
      folder: a run's `failure/step_NNNNNNN`.

    Returns:
      A `Step`.

    Raises:
      FileNotFoundError: the folder holds no failed step.
    """
    if not (pathlib.Path(folder) / "failure.json").is_file():
        raise FileNotFoundError(f"{folder} holds no failed step; expected RUN/failure/step_NNNNNNN")
    about, config, batch = failure.read(folder)
    paper = experiment.build(config)
    target = jax.eval_shape(paper.init, jax.random.key(config["seed"]))
    _, state, _ = trees.restore(trees.run_folder(folder), target=target)
    return Step(paper, state, batch, about)


def rerun(step):
    """Runs the step on all devices of this process.

    Args:
      step: a `Step` from `load`.

    Returns:
      `{name: float}`, the metrics.
    """
    update = parallel.update(step.paper.update, frozen=step.paper.frozen)
    _, metrics = update(parallel.replicate(step.state), step.batch)
    return {name: float(value) for name, value in jax.device_get(metrics).items()}


def describe(step):
    """Lines of text about the batch and the state before the step."""
    lines = [step.about["message"]]
    records = [record for process in step.about["records"] for record in process]
    if records:
        lines.append(f"records in the batch: {', '.join(map(str, records))}")
    for name, rows in step.batch.items():
        bad = [row for row, values in enumerate(rows) if not np.isfinite(values).all()]
        if bad:
            of_records = f", records {[records[row] for row in bad]}" if records else ""
            lines.append(f"{name} is not finite in rows {bad}{of_records}")
    broken = [name for name, leaf in _floats(step.state) if not np.isfinite(leaf).all()]
    if broken:
        lines.append(f"not finite before the step: {', '.join(broken[:5])} ({len(broken)} leaves)")
    largest = max((float(np.max(np.abs(leaf))), name) for name, leaf in _floats(step.state))
    lines.append(f"largest absolute value before the step: {largest[0]:.3g} in {largest[1]}")
    return lines


def _floats(state):
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        if jax.numpy.issubdtype(leaf.dtype, np.floating) and leaf.size:
            yield jax.tree_util.keystr(path, simple=True, separator="/"), leaf


def main(arguments):
    """Replays one folder; returns the exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m experiments.replay RUN/failure/step_NNNNNNN", file=sys.stderr)
        return 2
    compilation_cache.use()
    return errors.exit_code(_replay, arguments[0])


def _replay(folder):
    step = load(folder)
    print("\n".join(describe(step)))
    metrics = rerun(step)
    recorded = step.about["metrics"]
    same = True
    for name, value in metrics.items():
        print(f"  {name:16s} {value!s:24s} recorded {recorded.get(name, 'absent')}")
        same &= name not in recorded or _equal(value, float(recorded[name]))
    print("reproduced" if same else "NOT reproduced: see docs/restarts.md")
    return 0 if same else 1


def _equal(value, recorded):
    """Equality up to rounding: other devices add in another order."""
    if math.isfinite(value) != math.isfinite(recorded):
        return False
    return not math.isfinite(value) or math.isclose(value, recorded, rel_tol=1e-3, abs_tol=1e-6)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

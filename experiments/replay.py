"""Does a failed step again: `python -m experiments.replay RUN/failure/step_0001234`.

Says what in the batch and in the weights was not finite before the step, which metrics come out,
and whether they are the ones that stopped the run. Exit code 0 if they are, else 1.

Receives a folder that experiments/runs/failure.py wrote.
Hands its findings to the terminal, and the step itself (`load`) to whoever wants to take it apart.
"""

import math
import sys
from typing import Any, NamedTuple

import jax
import numpy as np

from bilateral_jax.checkpoints import trees
from bilateral_jax.training import parallel
from experiments import experiment
from experiments.runs import failure


class Step(NamedTuple):
    """A step as it was before it was made.

    Attributes:
      paper: the experiment, as experiments/train.py builds it.
      state: the state before the step, NumPy leaves.
      batch: the rows of all processes.
      about: what `failure.json` holds.
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
    about, config, batch = failure.read(folder)
    paper = experiment.build(config)
    target = jax.eval_shape(paper.init, jax.random.key(config["seed"]))
    _, state, _ = trees.restore(trees.run_folder(folder), target=target)
    return Step(paper, state, batch, about)


def again(step):
    """Makes the step once more on all devices of this process.

    Args:
      step: what `load` gave.

    Returns:
      `{name: float}`, the metrics.
    """
    update = parallel.update(step.paper.update, frozen=step.paper.frozen)
    _, metrics = update(parallel.replicate(step.state), step.batch)
    return {name: float(value) for name, value in jax.device_get(metrics).items()}


def describe(step):
    """Says in lines of text what stands out before the step."""
    lines = [step.about["message"]]
    records = [record for share in step.about["records"] for record in share]
    if records:
        lines.append(f"records in the batch: {', '.join(map(str, records))}")
    for name, rows in step.batch.items():
        bad = [row for row, values in enumerate(rows) if not np.isfinite(values).all()]
        if bad:
            named = f", records {[records[row] for row in bad]}" if records else ""
            lines.append(f"{name} is not finite in rows {bad}{named}")
    broken = [name for name, leaf in _floats(step.state) if not np.isfinite(leaf).all()]
    if broken:
        lines.append(f"not finite before the step: {', '.join(broken[:5])} ({len(broken)} leaves)")
    largest = max((float(np.max(np.abs(leaf))), name) for name, leaf in _floats(step.state))
    lines.append(f"largest number before the step: {largest[0]:.3g} in {largest[1]}")
    return lines


def _floats(state):
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        if jax.numpy.issubdtype(leaf.dtype, np.floating) and leaf.size:
            yield jax.tree_util.keystr(path, simple=True, separator="/"), leaf


def main(arguments):
    """Replays one folder; gives the exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m experiments.replay RUN/failure/step_NNNNNNN", file=sys.stderr)
        return 2
    try:
        step = load(arguments[0])
        print("\n".join(describe(step)))
        metrics = again(step)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    then = step.about["metrics"]
    same = True
    for name, value in metrics.items():
        print(f"  {name:16s} {value!s:24s} then {then.get(name, 'absent')}")
        same &= name not in then or _alike(value, float(then[name]))
    print("reproduced" if same else "NOT reproduced: see docs/restarts.md")
    return 0 if same else 1


def _alike(now, then):
    """Devices of another kind or number add up in another order: finite values may differ a bit."""
    if math.isfinite(now) != math.isfinite(then):
        return False
    return not math.isfinite(now) or math.isclose(now, then, rel_tol=1e-3, abs_tol=1e-6)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

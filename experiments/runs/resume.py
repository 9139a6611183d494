"""Resuming a run: its newest valid checkpoint, and the hooks that were cut off at that step."""

import numpy as np

from bilateral_jax import tree_paths
from bilateral_jax.checkpoints import trees
from bilateral_jax.training import state as state_lib
from bilateral_jax.training import summary_writer
from experiments.runs import workdir as workdir_lib


def restore(folder, target):
    """Restores the newest valid checkpoint: the first process looks for it, the others follow.

    Args:
      folder: of the checkpoints; leftovers of a save that was killed are removed from it.
      target: the state's structure, a pytree of `jax.ShapeDtypeStruct`.

    Returns:
      `(step, state, metadata)`, or (None, None, None) if nothing was ever saved.

    Raises:
      DamagedCheckpointError: there are checkpoints, and none of them is valid.
      ValueError: the checkpoint does not fit the target.
    """
    found = None

    def newest():
        nonlocal found
        trees.clean(folder)
        if not trees.steps(folder):
            return None
        try:
            found = trees.restore(folder, set_aside_damaged=True)
        except trees.DamagedCheckpointError as error:
            raise trees.DamagedCheckpointError(
                f"{error}; no valid step is left: remove {folder} to begin anew"
            ) from None
        return found[0]

    step = workdir_lib.by_first(newest)
    if step is None:
        return None, None, None
    step, state, metadata = found or trees.restore(folder, step)
    leaves = state_lib.from_earlier_layout(tree_paths.flatten(state))
    where = f"checkpoint step {step} in {folder} is damaged"
    for name in ("data", "averages"):
        if name not in metadata:
            raise trees.DamagedCheckpointError(f"{where}: its metadata have no {name}")
    if int(np.sum(leaves.get(("step",), step))) != step:
        raise trees.DamagedCheckpointError(f"{where}: its state is that of another step")
    return (
        step,
        tree_paths.fill(target, leaves, misfit="the checkpoint does not fit the experiment"),
        metadata,
    )


def pending(workdir, first, last, hooks):
    """Finds the hooks that were due at this step and left nothing in the metrics file.

    A run may have been cut short between a save and the evaluation after it.

    Args:
      workdir: folder of the run.
      first: the step from which the run is resumed.
      last: the run's last step.
      hooks: those that write "eval" lines.
    """

    def missing():
        return not any(line["step"] == first for line in summary_writer.read(workdir, "eval"))

    due = [hook for hook in hooks if first % hook.every == 0 or first == last]
    return due if workdir_lib.by_first(missing) else []

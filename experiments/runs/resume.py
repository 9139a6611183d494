"""Where a run goes on: its newest good checkpoint, and what was left undone at that step.

Receives a run's folder from experiments/train.py.
Hands it a state, the metadata saved beside it, and the hooks that are still due.
"""

from bilateral_jax.checkpoints import trees
from bilateral_jax.training import summary_writer
from experiments.runs import workdir as workdir_lib


def restore(folder, target):
    """Reads the newest good checkpoint: the first process looks for it, the others follow.

    Args:
      folder: of the checkpoints; leftovers of a save that died are removed from it.
      target: the state's structure, as `checkpoints.restore` takes it.

    Returns:
      `(step, state, metadata)`, or (None, None, None) if nothing was ever saved.

    Raises:
      DamagedCheckpointError: there are checkpoints, and none of them is good.
      ValueError: the checkpoint does not fit the target.
    """
    found = None

    def look():
        nonlocal found
        trees.clean(folder)
        if not trees.steps(folder):
            return None
        try:
            found = trees.restore(folder, target=target, set_aside_damaged=True)
        except trees.DamagedCheckpointError as error:
            raise trees.DamagedCheckpointError(
                f"{error}; no good step is left: remove {folder} to begin anew"
            ) from None
        return found[0]

    step = workdir_lib.by_first(look)
    if step is None:
        return None, None, None
    return found or trees.restore(folder, step, target=target)


def pending(workdir, first, last, hooks):
    """Gives the hooks that were due at this step and left nothing in the records.

    A run may have been cut short between a save and the evaluation after it.

    Args:
      workdir: folder of the run.
      first: the step from which the run goes on.
      last: the run's last step.
      hooks: those that write "eval" lines.
    """

    def missing():
        return not any(line["step"] == first for line in summary_writer.read(workdir, "eval"))

    due = [hook for hook in hooks if first % hook.every == 0 or first == last]
    return due if workdir_lib.by_first(missing) else []

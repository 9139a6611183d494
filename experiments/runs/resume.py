"""Resuming a run: its newest valid checkpoint, whether its data are the same, and pending hooks."""

import logging

import numpy as np

from bilateral_jax import tree_paths
from bilateral_jax.checkpoints import trees
from bilateral_jax.training import state as state_lib
from bilateral_jax.training import summary_writer
from experiments.runs import workdir as workdir_lib

_LOG = logging.getLogger(__name__)


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
        if not isinstance(metadata.get(name), dict):
            raise trees.DamagedCheckpointError(f"{where}: its metadata have no {name}")
    sources = metadata.get("sources") or {}
    if not isinstance(sources, dict) or not all(isinstance(v, dict) for v in sources.values()):
        raise trees.DamagedCheckpointError(f"{where}: its metadata have no identities of sources")
    if int(np.sum(leaves.get(("step",), step))) != step:
        raise trees.DamagedCheckpointError(f"{where}: its state is that of another step")
    return (
        step,
        tree_paths.fill(target, leaves, misfit="the checkpoint does not fit the experiment"),
        metadata,
    )


def check_sources(step, saved, now, *, accept):
    """Compares the sources of a run with those that its checkpoint was made with.

    The order of the examples is drawn from their number, so with other records a run cannot go on
    as if nothing had happened.

    Args:
      step: of the checkpoint.
      saved: its `identities`, see `inputs.Inputs`; None in checkpoints that have none yet.
      now: those of the sources now.
      accept: go on with changed sources, and say so.

    Raises:
      ValueError: they differ.
    """
    if saved is None or saved == now:
        return
    said = "; ".join(
        _source_change(section, saved.get(section, {}), now[section], step)
        for section in now
        if saved.get(section) != now[section]
    )
    if not accept:
        raise ValueError(
            f"{said}. Restore the records, choose another workdir, or go on with the changed ones, "
            "in another order, by --config.run.accept_changed_data=True"
        )
    _LOG.warning("%s; the run goes on with them", said)


def _source_change(section, before, after, step):
    name = f"the source --config.data.{section}"
    counts = [each.get("records") if isinstance(each, dict) else None for each in (before, after)]
    if counts[0] != counts[1]:
        return (
            f"{name} has {counts[1]} records, at the checkpoint of step {step} it had {counts[0]}"
        )
    return f"{name} has other records than at the checkpoint of step {step} (their names differ)"


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

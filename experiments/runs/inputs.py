"""The sources and the loader of a run, opened and checked before anything is compiled."""

import contextlib
import dataclasses
from typing import Any

import flax
import numpy as np

from bilateral_jax.data.pipeline import loader as loader_lib
from bilateral_jax.data.sources import views
from bilateral_jax.training import distributed
from experiments.runs import sources

_SIZES = ("batch_size", "crop", "short_sides", "pad_to", "load_size")  # options of all loaders

# What shapes that do not fit raise: in NumPy and JAX, in divisions by a size of 0, in flax. Others
# are faults of the code and keep their traceback.
_SIZE_ERRORS = (ValueError, TypeError, ArithmeticError, flax.errors.FlaxError)


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What a run reads.

    Attributes:
      loader: batches of the training source.
      heldout: the source of the evaluations, kept in memory.
      identities: `{"train": ..., "heldout": ...}`, see `views.identity`; kept in checkpoints.
    """

    loader: loader_lib.Loader
    heldout: Any
    identities: dict


def open_(paper, request, *, seed, data, batches):
    """Opens the sources and makes the loader.

    Args:
      paper: the `Experiment`; its `batches` and `members` are used.
      request: a `stop_requests.StopRequest`; with one process a signal ends the waiting for files.
        Several processes do not stop here: they agree on a step to stop after.
      seed: of the order and the augmentation.
      data: section of a config: keywords of the source, for `train` and `heldout`.
      batches: section of a config, for `paper.batches`.

    Returns:
      An `Inputs`; no batch is read.

    Raises:
      stop_requests.Stopped: a signal came while the files were listed and validated.
      ValueError: as `sources.make` and the loader.
      TypeError: an unknown option, by name.
    """
    index, count = distributed.index(), distributed.count()
    waiting = request.interrupts if count == 1 else contextlib.nullcontext
    with waiting():
        source, heldout = sources.make(
            **data, **_keep_in_memory(**batches), members=paper.members, waiting=waiting
        )
        loader = paper.batches(source, seed=seed, shard=(index, count), **batches)
    loader.waiting = waiting
    identities = {"train": views.identity(source), "heldout": views.identity(heldout)}
    return Inputs(loader, heldout, identities)


def _keep_in_memory(*, decoded_folder=None, workers=0, **_):
    """Whether decoded photos are kept in memory: not if cached on disk or read by workers."""
    return {"cached": decoded_folder is None and workers == 0}


def check_sizes(update, state, loader, batches):
    """Checks, by tracing the update with the first batch, that its sizes fit the network.

    Args:
      update: of all devices, as `parallel.update` makes it; with one process alone.
      state: the state that it takes; left as it is.
      loader: its next batch is looked at and stays the next one.
      batches: section of the config.

    Raises:
      ValueError: shapes do not fit; the message has the batch's sizes and the reason.
    """
    batch = loader.peek()
    if distributed.count() > 1:
        return
    try:
        update.trace(state, batch)
    except _SIZE_ERRORS as error:
        sizes = ", ".join(f"{name} {list(np.shape(batch[name]))}" for name in ("input", "target"))
        reason = " ".join(str(error).split())[:500]
        options = ", ".join(f"{name} {batches[name]}" for name in _SIZES if name in batches)
        raise ValueError(
            f"a batch of {sizes} ({options}) does not fit the experiment: {reason}"
        ) from error

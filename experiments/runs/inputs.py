"""The sources and the loader of a run, opened and checked before anything is compiled."""

import contextlib
import dataclasses
import re
from typing import Any

import numpy as np

from bilateral_jax.cli import errors
from bilateral_jax.data import registry
from bilateral_jax.data.pipeline import loader as loader_lib
from bilateral_jax.data.sources import views
from bilateral_jax.training import distributed

_SIZES = ("batch_size", "crop", "short_sides", "pad_to", "load_size")  # options of all loaders


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


def open_(batches_of, request, *, seed, data, batches, members):
    """Opens the sources and makes the loader.

    Args:
      batches_of: the experiment's `batches`.
      request: a `stop_requests.StopRequest`; with one process a signal ends the waiting for files.
        Several processes do not stop here: they agree on a step to stop after.
      seed: of the order and the augmentation.
      data: section of a config: keywords of the source, for `train` and `heldout`.
      batches: section of a config, for `batches_of`.
      members: what every element of the sources must hold.

    Returns:
      An `Inputs`; no batch is read.

    Raises:
      stop_requests.Stopped: a signal came while the files were listed and validated.
      ValueError: a source cannot be made, or its elements lack a member; the message names its
        section of the config. Also as the loader.
      TypeError: an option that a source does not know, or that it lacks, by name.
    """
    index, count = distributed.index(), distributed.count()
    waiting = request.interrupts if count == 1 else contextlib.nullcontext
    with waiting():
        source, heldout = _sources(waiting, members, **data, **_keep_in_memory(**batches))
        loader = batches_of(source, seed=seed, shard=(index, count), **batches)
    loader.waiting = waiting
    identities = {"train": views.identity(source), "heldout": views.identity(heldout)}
    return Inputs(loader, heldout, identities)


def _keep_in_memory(*, decoded_folder=None, workers=0, **_):
    """Whether decoded photos are kept in memory: not if cached on disk or read by workers."""
    return {"cached": decoded_folder is None and workers == 0}


def _sources(waiting, members, *, train, heldout, cached):
    source = _make("train", members, **train)
    heldout = views.Waiting(_make("heldout", members, **heldout), waiting)
    return views.Cached(source) if cached else source, views.Cached(heldout, exact=True)


def _make(section, members, *, kind, **options):
    try:
        source = registry.make(kind=kind, **options)
        held = source[0] if len(source) else members
    except (OSError, ValueError, TypeError) as error:
        option = rf"--config.data.{section}.\1=\2"  # how the advised option is typed
        advised = re.sub(r'(?<![\w-])(\w+)="?(True|skip)\b"?', option, errors.sentence(error))
        kind_of_error = TypeError if isinstance(error, TypeError) else ValueError
        raise kind_of_error(f"--config.data.{section}: {advised}") from error
    if missing := [member for member in members if member not in held]:
        raise ValueError(
            f"--config.data.{section}: this experiment needs elements with {', '.join(members)}; "
            f"source {kind!r} has {', '.join(held)} and no {', '.join(missing)}"
        )
    return source


def check_sizes(update, state, loader, batches):
    """Checks, by tracing the update with the first batch, that its sizes fit the network.

    Args:
      update: of all devices, as `parallel.update` makes it; with one process alone.
      state: the state that it takes; left as it is.
      loader: its next batch is looked at and stays the next one.
      batches: section of the config.

    Raises:
      ValueError: the update fails with this batch; the message has its sizes and the reason.
    """
    batch = loader.peek()
    if distributed.count() > 1:
        return
    try:
        update.trace(state, batch)
    except Exception as error:  # layers raise errors of their own
        sizes = ", ".join(f"{name} {list(np.shape(batch[name]))}" for name in ("input", "target"))
        reason = " ".join(str(error).split())[:500]
        options = ", ".join(f"{name} {batches[name]}" for name in _SIZES if name in batches)
        raise ValueError(
            f"a batch of {sizes} ({options}) does not fit the experiment: {reason}"
        ) from error

"""Skips steps with a NaN or an infinity; after too many of them, all later steps too.

The host looks at a step's metrics while the next one is already running. So the devices themselves
keep the state as it was before a bad step; and once more steps were bad than allowed, every later
step leaves the state alone, too: what the host then holds is the state before the last bad step.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Guarded:
    """A state and the number of bad steps that may still be skipped.

    Attributes:
      state: the state of the update; has a `step`.
      allowed: int32 scalar, bad steps that may still be skipped; below 0 no step changes anything.
    """

    state: Any
    allowed: jax.Array


def start(state, *, allowed):
    """Makes a `Guarded` of a state.

    Args:
      state: a dataclass with a `step`, such as `training.state.TrainState`.
      allowed: bad steps that may be skipped from here on; 0 to stop at the first.
    """
    return Guarded(state, jnp.int32(allowed))


def update(function):
    """Turns an update of a state into an update of a `Guarded`.

    Args:
      function: `(state, batch, *frozen) -> (state, metrics)` as `parallel.update` takes it; a step
        is bad if one of its metrics, equal on all devices, is not finite.

    Returns:
      `(guarded, batch, *frozen) -> (guarded, metrics)`. A bad step counts in `step` and changes
      nothing else; metrics gain "skipped", 1.0 for a step that changed nothing and else 0.0.
    """

    def guarded(current, batch, *frozen):
        new, metrics = function(current.state, batch, *frozen)
        finite = [jnp.all(jnp.isfinite(value)) for value in jax.tree.leaves(metrics)]
        bad = ~functools.reduce(jnp.logical_and, finite) | (metrics.get("skipped", 0) > 0)
        halted = current.allowed < 0
        kept = dataclasses.replace(
            jax.tree.map(lambda old, new: jnp.where(bad | halted, old, new), current.state, new),
            step=jnp.where(halted, current.state.step, new.step),
        )
        allowed = current.allowed - jnp.where(bad & ~halted, 1, 0)
        skipped = jnp.float32(bad | halted)
        return Guarded(kept, allowed), {**metrics, "skipped": skipped}

    return guarded

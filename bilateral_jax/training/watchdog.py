"""Watches that a generator keeps to its input: without pairs, a training may collapse.

Nothing but the way back to the input ties a generator that is trained without pairs to its input,
and a second generator can invert a negative. What then happens is seen in the PSNR of the output
to the input: where it stays below a bound for many steps, the training stops, or draws new initial
weights and goes on. Both depend on the state alone, so that a resumed run does the same.

Reference: the advice to start again where this PSNR stays below 10 dB is that of the public port
JuheonYi/WESPE-TensorFlow.
"""

import dataclasses
import logging
import math

import jax
import jax.numpy as jnp

_LOG = logging.getLogger(__name__)
_RESTART = 0x7265  # folded into the key, so that no step's key is that of a restart


class CollapseError(RuntimeError):
    """The output of a generator stayed far from its input; the message names step and value."""


@dataclasses.dataclass(frozen=True)
class Watchdog:
    """When a training counts as collapsed, and what then happens.

    Attributes:
      below: PSNR of the output to the input in dB; a step below it counts.
      patience: so many steps one after the other make a collapse; 0 turns the watch off.
      restarts: how often new weights are drawn before a collapse stops the training.

    Raises:
      ValueError: patience or restarts are no ints of at least 0, or the bound is no finite number.
    """

    below: float
    patience: int
    restarts: int

    def __post_init__(self):
        counts = self.patience, self.restarts
        if any(type(count) is not int or count < 0 for count in counts):
            raise ValueError(
                f"patience and restarts must be ints of at least 0, got {counts[0]!r} and "
                f"{counts[1]!r}"
            )
        numeric = isinstance(self.below, int | float) and not isinstance(self.below, bool)
        if not numeric or not math.isfinite(self.below):
            raise ValueError(f"below must be a finite number of dB, got {self.below!r}")

    def start(self):
        """Makes the arrays of the watch, for `TrainState.extra`: `{"low", "restarts"}`, int32."""
        return {"low": jnp.int32(0), "restarts": jnp.int32(0)}

    def update(self, state, psnr, *, init):
        """Counts a step, and after a collapse draws new weights; for use inside an update.

        Args:
          state: a `TrainState` with the arrays of `start` in `extra["watchdog"]`.
          psnr: scalar, equal on all devices: of the output to the input in dB.
          init: `key -> TrainState`, the experiment's; its groups and its other arrays in `extra`
            replace those of the state.

        Returns:
          `(state, metrics)`: "collapsed" is 1 in every step of a collapse that is not followed by a
          restart; where there may be any, "restarts" is their number so far, and "restarted" 1 in
          the step of one. `step` and `key` stay as they are; the optimisers and their schedules
          begin anew.
        """
        if not self.patience:
            return state, {}
        counts = state.extra["watchdog"]
        low = jnp.where(psnr < self.below, counts["low"] + 1, 0)
        collapsed = low >= self.patience
        again = collapsed & (counts["restarts"] < self.restarts)
        restarts = counts["restarts"] + again.astype(jnp.int32)
        counts = {"low": jnp.where(again, 0, low), "restarts": restarts}

        def anew(state):
            key = jax.random.fold_in(jax.random.fold_in(state.key, _RESTART), restarts)
            new = init(key)
            return state.replace(groups=new.groups, extra=new.extra)

        metrics = {"collapsed": jnp.float32(collapsed & ~again)}
        if self.restarts:
            state = jax.lax.cond(again, anew, lambda state: state, state)
            metrics |= {"restarts": jnp.float32(restarts), "restarted": jnp.float32(again)}
        return state.replace(extra=state.extra | {"watchdog": counts}), metrics

    def check(self, name):
        """Makes the check of a step on the host, as `loop.fit` takes it.

        Args:
          name: of the metric that holds the PSNR.

        Returns:
          `(step, metrics) -> None`, which logs a restart and raises `CollapseError` where the
          training is to stop.
        """

        def check(step, metrics):
            restarted = metrics.get("restarted", 0)
            if not restarted and not metrics.get("collapsed", 0):
                return
            what = (
                f"step {step}: the output has been less than {self.below:g} dB from the input for "
                f"{self.patience} steps, {name} is now {metrics[name]:.2f} dB"
            )
            if restarted:
                _LOG.warning(
                    "%s: restarted from new weights, restart %d of at most %d",
                    what, metrics["restarts"], self.restarts,
                )  # fmt: skip
                return
            after = f" after {self.restarts} restarts" if self.restarts else ""
            raise CollapseError(
                f"{what}: the training has collapsed{after} and stops; the checkpoints of earlier "
                "steps are untouched. Another seed, a start from trained weights, a generator that "
                "starts as the identity or a larger weight of the distance to the input may help"
            )

        return check

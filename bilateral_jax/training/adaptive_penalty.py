"""The weight of a critic's gradient penalty, adapted to the size of the penalty (A-WGAN).

The weight is doubled when the running average of the penalty is above a bound. Then the average
starts again at 0, and the weight stays as it is for a number of the critic's updates.

Reference: Chen, Wang, Kao and Chuang 2018, "Deep Photo Enhancer: unpaired learning for image
enhancement from photographs with GANs", section 4 and the published code, whose numbers are the
defaults here. The code never lowers the weight; its README says that the method may.
"""

import dataclasses
import math
import numbers

import jax
import jax.numpy as jnp

from bilateral_jax.training import parallel


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AdaptivePenalty:
    """The weight of one critic's penalty, for `TrainState.extra`; the same on every device.

    Attributes:
      weight: float32 scalar, factor of the penalty in the critic's loss.
      average: float32 scalar, running average of the penalty since the last change of the weight.
      cooldown: int32 scalar, updates during which the weight stays as it is.
      updates: int32 scalar, number of updates so far.
    """

    weight: jax.Array
    average: jax.Array
    cooldown: jax.Array
    updates: jax.Array


def create(*, weight=10.0):
    """Makes the state before the critic's first update.

    Args:
      weight: the weight at the start, positive and finite.

    Returns:
      An `AdaptivePenalty`.

    Raises:
      ValueError: a weight that is not such a number.
    """
    if not _is_finite(weight) or not weight > 0:
        raise ValueError(f"weight must be positive and finite, got {weight!r}")
    return AdaptivePenalty(jnp.float32(weight), jnp.float32(0), jnp.int32(0), jnp.int32(0))


def update(
    current, penalty, *, bound=0.05, decay=0.99, factor=2.0, cooldown=50, lower_bound=None
):  # fmt: skip
    """Adapts the weight after an update of the critic; for use inside an update.

    Args:
      current: an `AdaptivePenalty`.
      penalty: float scalar, the penalty of this update without its weight, the mean over this
        device's shard (of equal values on all devices, such as the metrics of `gradient_step`, the
        mean is the same).
      bound: of the running average, above which the weight grows.
      decay: of the running average, in [0, 1).
      factor: by which the weight grows, above 1.
      cooldown: updates from a change of the weight to the next, at least 0.
      lower_bound: the weight is divided by `factor` where the running average is below this,
        `cooldown` updates or more after the start and the last change; for example 0.001. None:
        never, as in the published code.

    Returns:
      The next `AdaptivePenalty`. The very first update does not count in the average.

    Raises:
      ValueError: an option out of its range, or a penalty for each example.
    """
    check_options(
        bound=bound, decay=decay, factor=factor, cooldown=cooldown, lower_bound=lower_bound
    )
    if jnp.shape(penalty):
        raise ValueError(
            f"penalty must be a scalar, the mean over the batch, got shape {jnp.shape(penalty)}"
        )
    penalty = parallel.mean(jnp.asarray(penalty, jnp.float32))
    counted = current.updates > 0
    average = jnp.where(counted, decay * current.average + (1 - decay) * penalty, 0.0)
    free = counted & (current.cooldown == 0)
    grows = free & (average > bound)
    shrinks = jnp.zeros_like(grows)
    if lower_bound is not None:
        shrinks = free & (average < lower_bound) & (current.updates >= cooldown)
    changes = grows | shrinks
    waiting = jnp.where(changes, cooldown, current.cooldown)
    smaller = jnp.where(shrinks, current.weight / factor, current.weight)
    return AdaptivePenalty(
        weight=jnp.where(grows, current.weight * factor, smaller),
        average=jnp.where(changes, 0.0, average),
        cooldown=jnp.maximum(waiting - 1, 0).astype(jnp.int32),
        updates=current.updates + 1,
    )


def check_options(*, bound=0.05, decay=0.99, factor=2.0, cooldown=50, lower_bound=None) -> None:
    """Checks the options of `update`, before a training begins.

    Args:
      bound: see `update`, as all others.
      decay: see there.
      factor: see there.
      cooldown: see there.
      lower_bound: see there.

    Raises:
      ValueError: one is out of its range, or not a finite number.
    """
    if not _is_finite(bound) or not bound > 0:
        raise ValueError(f"bound must be positive and finite, got {bound!r}")
    if not _is_finite(decay) or not 0 <= decay < 1:
        raise ValueError(f"decay must be in [0, 1), got {decay!r}")
    if not _is_finite(factor) or not factor > 1:
        raise ValueError(f"factor must be above 1 and finite, got {factor!r}")
    if isinstance(cooldown, bool) or not isinstance(cooldown, int) or cooldown < 0:
        raise ValueError(f"cooldown must be an int of at least 0, got {cooldown!r}")
    if lower_bound is not None and (not _is_finite(lower_bound) or not 0 < lower_bound < bound):
        raise ValueError(
            f"lower_bound must be between 0 and bound = {bound!r}, or None, got {lower_bound!r}"
        )


def _is_finite(value):
    """Whether it is a finite number, and no bool."""
    return isinstance(value, numbers.Real) and type(value) is not bool and math.isfinite(value)

"""What experiments without pairs share: initial states, and the penalties of critics' gradients.

Their states have two groups, "generators" and "critics". The losses are each paper's own.
"""

import dataclasses

import jax

from bilateral_jax.losses import gradient_penalties
from bilateral_jax.models.model import Model
from bilateral_jax.training import adaptive_penalty, parallel, state

GROUPS = ("generators", "critics")


def init(key, modules, rules, *, extra):
    """Makes the state before the first step.

    Args:
      key: random key.
      modules: `{group: {name: module}}`, the groups of `GROUPS`.
      rules: `{group: optax.GradientTransformation}`.
      extra: what the paper adds to the state, see `training.state.create`.

    Returns:
      A `TrainState`; the generators have averaged weights, the critics none.
    """
    *keys, state_key = jax.random.split(key, 1 + sum(map(len, modules.values())))
    keys, groups = iter(keys), {}
    for group in GROUPS:
        networks = {}
        for name, module in modules[group].items():
            initial = Model.init(module, next(keys))
            networks[name] = state.create_network(
                initial.params,
                batch_stats=initial.batch_stats,
                averaged=group == "generators",
            )
        groups[group] = state.create_group(networks, rules[group])
    return state.create(state_key, groups, extra=extra)


def random_fractions(current, count, critics):
    """Draws where between a real and a generated image critics' gradients are measured.

    Args:
      current: a `TrainState`.
      count: examples of this device's shard.
      critics: number of critics.

    Returns:
      float32 `[count, critics]`, uniform in [0, 1); the same on any number of devices.
    """
    key = jax.random.fold_in(current.key, current.step)
    return parallel.per_example_draw(lambda size: jax.random.uniform(key, (size, critics)), count)


@dataclasses.dataclass(frozen=True)
class CriticPenalty:
    """The penalty of every critic's gradient between real and generated images.

    Attributes:
      weight: of the penalty in the critics' loss, at the start; 0: no penalty.
      form: one of `gradient_penalties.FORMS`.
      adaptive: whether each critic's weight is adapted, see `adaptive_penalty.update`.
      options: of that: `bound`, `decay`, `factor`, `cooldown`, `lower_bound`.

    Raises:
      ValueError: a negative weight, or another form.
    """

    weight: float
    form: str
    adaptive: bool
    options: dict

    def __post_init__(self):
        if self.weight < 0:
            raise ValueError(f"penalty.weight must be at least 0, got {self.weight}")
        if self.form not in gradient_penalties.FORMS:
            raise ValueError(
                f"penalty.form must be one of {gradient_penalties.FORMS}, got {self.form!r}"
            )

    def start(self, critics):
        """Makes the weights before the first step: `{critic: AdaptivePenalty}`, empty without.

        Args:
          critics: their names.
        """
        if not self.weight:
            return {}
        return {name: adaptive_penalty.create(weight=self.weight) for name in critics}

    def at(self, critic, real, generated, fraction):
        """Measures the penalty of a critic, without its weight.

        Args:
          critic: `images -> scores`.
          real: float `[b, h, w, c]`.
          generated: the same.
          fraction: float `[b]`, see `gradient_penalties.interpolate`.

        Returns:
          float32 `[b]`.
        """
        between = gradient_penalties.interpolate(real, generated, fraction)
        return gradient_penalties.penalty(critic, between, form=self.form)

    def update(self, penalties, metrics):
        """Makes the weights of the next step.

        Args:
          penalties: `{critic: AdaptivePenalty}`.
          metrics: of the critics' step, with `penalty_CRITIC` of each.

        Returns:
          As `penalties`.
        """
        if not self.adaptive:
            return penalties
        return {
            name: adaptive_penalty.update(each, metrics[f"penalty_{name}"], **self.options)
            for name, each in penalties.items()
        }

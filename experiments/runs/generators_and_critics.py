"""What experiments without pairs share: initial states, updates, penalties of critics' gradients.

Their states have two groups, "generators" and "critics". The losses are each paper's own.
"""

import dataclasses
import functools
import inspect
import logging

import jax

from bilateral_jax import models
from bilateral_jax.losses import adversarial, blurred, gradient_penalties
from bilateral_jax.models import model as model_lib
from bilateral_jax.models.model import Model
from bilateral_jax.training import adaptive_penalty, distributed, parallel, state, step

_LOG = logging.getLogger(__name__)

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


def dped_critics(fields, *, crop) -> dict:
    """Makes DPED's two critics, of which one sees blurred colours and the other grey.

    Args:
      fields: of both, `models.dped.DPEDCritic`; `size` is that of the images before the blur.
      crop: whether the border of the blurred images is left out, see `blurred.blur_image`; their
        critic is then for smaller patches.

    Returns:
      `{"color": module, "texture": module}`.

    Raises:
      TypeError: a field that nothing takes.
      ValueError: `input_channels`, which follow from what each sees, a value that nothing takes, or
        patches of which the crop leaves nothing.
    """
    if "input_channels" in fields:
        raise ValueError(
            "critic.input_channels cannot be set: one critic sees 3 channels, the other grey"
        )
    critic = models.create("DPEDCritic", fields)
    size = _cropped(critic.size) if crop else critic.size
    return {
        "color": critic.clone(size=size, input_channels=3),
        "texture": critic.clone(input_channels=1),
    }


def count_updates(steps, *, n_critic) -> dict[str, int]:
    """Counts the updates of both groups in a training, over which their learning rates go.

    Args:
      steps: length of the training; a warning is logged if no generator would be trained.
      n_critic: steps of the critics for one of the generators.

    Returns:
      `{group: updates}`, at least 1 each.

    Raises:
      ValueError: `n_critic` is not a positive int.
    """
    if not isinstance(n_critic, int) or isinstance(n_critic, bool) or n_critic < 1:
        raise ValueError(f"n_critic must be a positive int, got {n_critic!r}")
    if n_critic > steps and distributed.is_first():
        _LOG.warning("n_critic is %d and steps %d: only the critics are trained", n_critic, steps)
    return {"generators": max(steps // n_critic, 1), "critics": steps}


def check_loss(losses, *, form="form") -> None:
    """Checks the options of a loss that no weight are, before a training begins.

    Args:
      losses: with the attribute `form`, and maybe `chroma_shrink`, `critic_shrink` and `blur`.
      form: name of the attribute with the form of the adversarial losses.

    Raises:
      ValueError: one has a value that nothing takes; the message names it.
    """
    value = getattr(losses, form)
    if value not in adversarial.FORMS:
        raise ValueError(f"loss.{form} must be one of {adversarial.FORMS}, got {value!r}")
    for name in ("chroma_shrink", "critic_shrink"):
        shrink = getattr(losses, name, 1)
        if type(shrink) is not int or shrink < 1:
            raise ValueError(f"loss.{name} must be a positive int, got {shrink!r}")
    if hasattr(losses, "blur"):
        blurred.blur_taps(losses.blur)


def _cropped(size):
    if size <= blurred.CROPPED:
        raise ValueError(
            f"critic.size must be above {blurred.CROPPED}, which the blur takes off the border, "
            f"got {size}"
        )
    return size - blurred.CROPPED


def penalised_update(losses, networks, rules, *, n_critic, average_decay, accumulate):
    """Makes the update of a training whose critics' gradients are penalised.

    A step updates the critics and the weights of their penalties, and every `n_critic`-th step the
    generators after them.

    Args:
      losses: with the attributes `critics`, their names, and `penalty`, a `CriticPenalty`, and the
        methods `of_critics(weights, networks, batch, key)`, with the penalties' weights by critic,
        and `of_generators(networks, batch, key)`, as `step.gradient_step` takes them. The critics'
        batch has `fraction` as well, see `random_fractions`.
      networks: `{name: module}` of both groups.
      rules: `{group: optax.GradientTransformation}`.
      n_critic: steps of the critics for one of the generators.
      average_decay: of the moving average of the generators' weights, see `step.gradient_step`.
      accumulate: micro-batches per step, see there.

    Returns:
      `(state, batch) -> (state, metrics)`; the state is that of `init` with
      `extra={"penalties": losses.penalty.start(losses.critics)}`.
    """
    build = {
        name: functools.partial(Model, module=model_lib.synchronised(module, parallel.AXIS))
        for name, module in networks.items()
    }
    take = functools.partial(step.gradient_step, build=build, accumulate=accumulate)

    def update(current, batch):
        penalties = current.extra["penalties"]
        weights = {name: each.weight for name, each in penalties.items()}
        drawn = random_fractions(current, len(batch["input"]), len(losses.critics))
        of_critics = functools.partial(losses.of_critics, weights)
        current, critic_metrics = take(
            of_critics, current, "critics", batch | {"fraction": drawn}, rules["critics"]
        )
        penalties = losses.penalty.update(penalties, critic_metrics)
        current = current.replace(extra={"penalties": penalties})

        def generators(current):
            return take(
                losses.of_generators, current, "generators", batch, rules["generators"],
                average_decay=average_decay,
            )  # fmt: skip

        current, metrics = every_nth(n_critic, current, generators)
        metrics |= {f"critic_{name}": value for name, value in critic_metrics.items()}
        metrics |= {f"penalty_weight_{name}": value for name, value in weights.items()}
        return step.finish_step(current), metrics

    return update


def every_nth(n_critic, current, generators):
    """Takes the generators' step in every `n_critic`-th step; without a condition if that is 1.

    Args:
      n_critic: see `count_updates`.
      current: a `TrainState`.
      generators: `state -> (state, metrics)`.

    Returns:
      (state, metrics), see `step.every`.
    """
    return generators(current) if n_critic == 1 else step.every(n_critic, current, generators)


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
    """The penalty of every critic's gradient, between real and generated images or at real ones.

    Attributes:
      weight: of the penalty in the critics' loss, at the start; 0: no penalty.
      form: one of `gradient_penalties.FORMS`.
      where: "between" real and generated images, or at "real" ones.
      adaptive: whether each critic's weight is adapted, see `adaptive_penalty.update`.
      options: of that: `bound`, `decay`, `factor`, `cooldown`, `lower_bound`.

    Raises:
      TypeError: an option that `adaptive_penalty.update` does not take.
      ValueError: a negative weight, another form, another place, or an option out of its range.
    """

    weight: float
    form: str
    where: str
    adaptive: bool
    options: dict

    def __post_init__(self):
        if self.where not in ("between", "real"):
            raise ValueError(f'penalty.where must be "between" or "real", got {self.where!r}')
        if self.weight < 0:
            raise ValueError(f"penalty.weight must be at least 0, got {self.weight}")
        if self.form not in gradient_penalties.FORMS:
            raise ValueError(
                f"penalty.form must be one of {gradient_penalties.FORMS}, got {self.form!r}"
            )
        try:
            inspect.signature(adaptive_penalty.update).bind(None, None, **self.options)
        except TypeError as error:
            raise TypeError(f"penalty.options: {error}") from None
        if self.adaptive:
            adaptive_penalty.check_options(**self.options)

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
          fraction: float `[b]`, see `gradient_penalties.interpolate`; not used at real images.

        Returns:
          float32 `[b]`.
        """
        if self.where == "between":
            real = gradient_penalties.interpolate(real, generated, fraction)
        return gradient_penalties.penalty(critic, real, form=self.form)

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

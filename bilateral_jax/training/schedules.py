"""Learning rates and optimisers by name, so that a config can choose them."""

import inspect
import math

import optax


def learning_rate(name, *, peak, steps, warmup=0, final=0.0, **options):
    """Makes a learning rate as a function of the step.

    Args:
      name: the way from `peak` to `final` after the warm-up. "constant"; "linear" (after `hold`, 0
        of the training, at the peak); "cosine";
        "polynomial" (`power`, 2); "exponential" (equal factors, to a `final` above 0);
        "inverse_sqrt" (peak / sqrt(1 + t / `knee`), with neither `final` nor an end);
        "inverse_time" (peak / (1 + `decay` t), as Keras' `decay`, likewise endless); "step"
        (times `factor`, 0.1, at each of `boundaries`, fractions of the training);
        "cosine_restarts" (`periods` cosines, 4, one after the other, all from `peak`); "one_cycle"
        (rises from peak / `start_divisor`, 25, over `rise`, 0.3 of the training, then falls to
        `final`, both as cosines).
      peak: largest learning rate.
      steps: length of the whole training, warm-up included.
      warmup: steps over which the rate rises linearly from 0 to `peak`; not for "one_cycle".
      final: learning rate at the last step, where the name has one.
      **options: of the named schedule, as above.

    Returns:
      An optax schedule.

    Raises:
      ValueError: the name is unknown, or the numbers do not fit each other.
      TypeError: the schedule does not know an option, or lacks one; the message names it.
    """
    if name not in _SCHEDULES:
        raise ValueError(f"unknown schedule {name!r}; known are {sorted(_SCHEDULES)}")
    if not 0 <= warmup < steps:
        raise ValueError(f"warmup must lie in [0, steps), got warmup {warmup} and steps {steps}")
    if not 0 <= peak < math.inf:
        raise ValueError(f"the peak of learning_rate must be finite and at least 0, got {peak}")
    if not 0 <= final <= peak:
        raise ValueError(
            f"final must lie between 0 and the peak of learning_rate, got final {final} and peak "
            f"{peak}"
        )
    make = _SCHEDULES[name]
    if final and "final" not in inspect.signature(make).parameters:
        raise ValueError(f"a learning rate of kind {name!r} has no final value, got {final}")
    if warmup and name == "one_cycle":
        raise ValueError(f"one_cycle rises by itself and takes no warmup, got {warmup}")
    if "final" in inspect.signature(make).parameters:
        options["final"] = final
    main = make(peak, steps - warmup, **options)
    if not warmup:
        return main
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), main], [warmup])


def _constant(peak, steps):
    del steps
    return optax.constant_schedule(peak)


def _linear(peak, steps, *, final, hold=0.0):
    if not 0 <= hold < 1:
        raise ValueError(f"hold must be in [0, 1), got {hold}")
    held = round(hold * steps)
    return optax.linear_schedule(peak, final, max(steps - held, 1), transition_begin=held)


def _cosine(peak, steps, *, final):
    return optax.cosine_decay_schedule(peak, steps, alpha=final / peak if peak else 0.0)


def _polynomial(peak, steps, *, final, power=2.0):
    return optax.polynomial_schedule(peak, final, power, steps)


def _exponential(peak, steps, *, final):
    if not final > 0:
        raise ValueError(f"an exponential learning rate needs a final value above 0, got {final}")
    return optax.exponential_decay(peak, steps, final / peak, end_value=final)


def _inverse_sqrt(peak, steps, *, knee):
    del steps
    if not knee > 0:
        raise ValueError(f"knee must be a number of steps above 0, got {knee}")
    return lambda step: peak / (1.0 + step / knee) ** 0.5


def _inverse_time(peak, steps, *, decay):
    del steps
    if not decay >= 0:
        raise ValueError(f"decay must be at least 0 per step, got {decay}")
    return lambda step: peak / (1.0 + decay * step)


def _step(peak, steps, *, boundaries, factor=0.1):
    at = [round(fraction * steps) for fraction in boundaries]
    if not at or sorted(set(at)) != at or not 0 < at[0] <= at[-1] < steps:
        raise ValueError(
            "boundaries must be fractions of the training between 0 and 1, rising, at least a step "
            f"apart, got {tuple(boundaries)}"
        )
    return optax.piecewise_constant_schedule(peak, dict.fromkeys(at, factor))


def _cosine_restarts(peak, steps, *, final, periods=4):
    if not 1 <= periods <= steps:
        raise ValueError(f"periods must lie in [1, steps], got {periods} in {steps} steps")
    starts = [round(k * steps / periods) for k in range(periods + 1)]
    lengths = [stop - start for start, stop in zip(starts[:-1], starts[1:], strict=True)]
    cosines = [_cosine(peak, length, final=final) for length in lengths]
    return optax.join_schedules(cosines, starts[1:-1])


def _one_cycle(peak, steps, *, final, rise=0.3, start_divisor=25.0):
    top = round(rise * steps)
    if not 0 < top < steps or not start_divisor > 1:
        raise ValueError(
            "one_cycle needs rise between 0 and 1 and start_divisor above 1, "
            f"got {rise} and {start_divisor} in {steps} steps"
        )
    low = peak / start_divisor
    # a cosine from `peak` down to `low`, seen from its end
    up = optax.cosine_decay_schedule(peak, top, alpha=1 / start_divisor)
    return optax.join_schedules(
        [lambda step: peak + low - up(step), _cosine(peak, steps - top, final=final)], [top]
    )


_SCHEDULES = {
    "constant": _constant,
    "cosine": _cosine,
    "cosine_restarts": _cosine_restarts,
    "exponential": _exponential,
    "inverse_sqrt": _inverse_sqrt,
    "inverse_time": _inverse_time,
    "linear": _linear,
    "one_cycle": _one_cycle,
    "polynomial": _polynomial,
    "step": _step,
}


_RULES = {
    "adabelief": optax.scale_by_belief,
    "adagrad": optax.scale_by_rss,
    "adam": optax.scale_by_adam,
    "adamw": optax.scale_by_adam,
    "amsgrad": optax.scale_by_amsgrad,
    "lamb": optax.scale_by_adam,
    "lion": optax.scale_by_lion,
    "momentum": optax.trace,
    "nadam": optax.scale_by_adam,
    "radam": optax.scale_by_radam,
    "rmsprop": optax.scale_by_rms,
    "sgd": optax.trace,
}
_DEFAULTS = {"momentum": {"decay": 0.9}, "nadam": {"nesterov": True}, "sgd": {"decay": 0.0}}


def optimizer(name, rate, *, weight_decay=0.0, decay_mask=None, clip_norm=None, **options):
    """Makes an optimiser: clipping, the named rule, decoupled weight decay, learning rate.

    Args:
      name: "adam" ("adamw" is the same: the decay is decoupled in all of them, so it asks for one),
        "adabelief", "adagrad", "amsgrad", "lamb", "lion", "momentum", "nadam", "radam", "rmsprop"
        or "sgd".
      rate: learning rate, a number or a schedule.
      weight_decay: pull towards zero per step, times the learning rate.
      decay_mask: `params -> pytree of bool`, True where the decay acts; None for everywhere.
      clip_norm: largest global norm of the gradient; None for no clipping.
      **options: of the rule itself, for example `b1`, `b2`, `eps` of adam or `decay` of sgd's
        momentum.

    Raises:
      ValueError: the name is unknown, "adamw" has no decay, or a norm or decay is out of range.
      TypeError: the rule does not know an option; the message names it.
    """
    if name not in _RULES:
        raise ValueError(f"unknown optimizer {name!r}; known are {sorted(_RULES)}")
    if name == "adamw" and not weight_decay:
        raise ValueError("adamw without a weight_decay is adam: give one, or say adam")
    if clip_norm is not None and not clip_norm > 0:
        raise ValueError(f"clip_norm must be above 0, or None for no clipping, got {clip_norm}")
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay must be at least 0, got {weight_decay}")
    parts = [optax.clip_by_global_norm(clip_norm)] if clip_norm is not None else []
    parts.append(_RULES[name](**{**_DEFAULTS.get(name, {}), **options}))
    if weight_decay:
        parts.append(optax.add_decayed_weights(weight_decay, decay_mask))
    if name == "lamb":
        parts.append(optax.scale_by_trust_ratio())
    return optax.chain(*parts, optax.scale_by_learning_rate(rate))

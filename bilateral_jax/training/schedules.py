"""Learning rates and optimisers by name, so that a config can choose them.

Receives names and numbers from a config's sections (through experiments).
Hands optax objects to training/step.py.
"""

import optax

_OPTIMIZERS = {
    "adam": optax.scale_by_adam,
    "lion": optax.scale_by_lion,
    "rmsprop": optax.scale_by_rms,
    "sgd": optax.trace,
}


def learning_rate(name, *, peak, steps, warmup=0, final=0.0):
    """Makes a learning rate as a function of the step.

    Args:
      name: "constant", "linear" or "cosine": the way from `peak` down to `final` after the warm-up.
      peak: largest learning rate.
      steps: length of the whole training, warm-up included.
      warmup: steps over which the rate rises linearly from 0 to `peak`.
      final: learning rate at the last step; only for "linear" and "cosine".

    Raises:
      ValueError: the name is unknown, or the numbers do not fit each other.
    """
    if not 0 <= warmup < steps:
        raise ValueError(f"warmup must lie in [0, steps), got warmup {warmup} and steps {steps}")
    if not 0 <= final <= peak:
        raise ValueError(f"final must lie in [0, peak], got final {final} and peak {peak}")
    rest = steps - warmup
    if name == "constant":
        if final:
            raise ValueError(f"a constant learning rate has no final value, got {final}")
        main = optax.constant_schedule(peak)
    elif name == "linear":
        main = optax.linear_schedule(peak, final, rest)
    elif name == "cosine":
        main = optax.cosine_decay_schedule(peak, rest, alpha=final / peak if peak else 0.0)
    else:
        raise ValueError(f"unknown schedule {name!r}; known are 'constant', 'cosine', 'linear'")
    if not warmup:
        return main
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), main], [warmup])


def optimizer(name, rate, *, weight_decay=0.0, decay_mask=None, clip_norm=None, **options):
    """Makes an optimiser: clipping, the named rule, decoupled weight decay, learning rate.

    Args:
      name: "adam", "lion", "rmsprop" or "sgd".
      rate: learning rate, a number or a schedule.
      weight_decay: pull towards zero per step, times the learning rate.
      decay_mask: `params -> pytree of bool`, True where the decay acts; None for everywhere.
      clip_norm: largest global norm of the gradient; None for no clipping.
      **options: of the rule itself, for example `b1`, `b2`, `eps` of adam or `decay` of sgd's
        momentum.

    Raises:
      ValueError: the name is unknown.
      TypeError: the rule does not know an option; the message names it.
    """
    if name not in _OPTIMIZERS:
        raise ValueError(f"unknown optimizer {name!r}; known are {sorted(_OPTIMIZERS)}")
    if name == "sgd":
        options = {"decay": 0.0, **options}
    parts = [optax.clip_by_global_norm(clip_norm)] if clip_norm is not None else []
    parts.append(_OPTIMIZERS[name](**options))
    if weight_decay:
        parts.append(optax.add_decayed_weights(weight_decay, decay_mask))
    return optax.chain(*parts, optax.scale_by_learning_rate(rate))

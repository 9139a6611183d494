"""Refuses numbers in a config that no run can use, before anything else is done."""

import math

from experiments.runs import config_differences

# Smallest whole number that an entry can have, for configs that have it.
_SMALLEST = {
    "seed": 0,
    "steps": 1,
    "accumulate": 1,
    "run.log_every": 1,
    "run.evaluate_every": 1,
    "run.checkpoint_every": 1,
    "run.max_to_keep": 1,
    "run.sheet_photos": 0,
    "run.max_skipped": 0,
}
_LARGEST_SEED = 2**63 - 1  # that `jax.random.key` takes


def check(config):
    """Refuses lengths, intervals, counts, rates and weights that are out of their range.

    What a section means to its experiment, such as the optimiser's options, is checked where it is
    used.

    Args:
      config: the whole config as nested dicts.

    Raises:
      ValueError: a number is infinite or NaN, or out of its range; the entry is named.
    """
    entries = config_differences.flat(config)
    for name, value in entries.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"--config.{name} must be a finite number, got {value}")
        # Weights of terms, and sizes: a term of negative weight would be maximised.
        if name.startswith("loss.") and isinstance(value, int | float) and value < 0:
            raise ValueError(f"--config.{name} must be at least 0, got {value}")
    for name, low in _SMALLEST.items():
        value = entries.get(name, low)
        if type(value) is not int or value < low:
            raise ValueError(f"--config.{name} must be an int of at least {low}, got {value!r}")
    if entries.get("seed", 0) > _LARGEST_SEED:
        raise ValueError(f"--config.seed must be at most {_LARGEST_SEED}, got {entries['seed']}")
    decay = entries.get("average_decay", 0.0)
    if not 0 <= decay < 1:
        raise ValueError(f"--config.average_decay must lie in [0, 1), got {decay}")

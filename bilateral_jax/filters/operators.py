"""Operators on photos by name: what a network can be taught to imitate, or be compared with.

Every operator takes a display-referred photo `[*b, h, w, 3]` in [0, 1] and keyword options, and
gives a photo in [0, 1]. docs/filters.md shows them.

Receives names and options from `experiments/`.
Hands functions of a photo back.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

from bilateral_jax.filters import dark_channel, haze_lines, local_contrast, local_laplacian

# name -> (function, options that differ from its defaults).
OPERATORS = {
    "dark_channel_dehazing": (dark_channel.dehaze, {}),
    "local_contrast": (local_contrast.boost, {}),
    "local_tone_mapping": (
        local_laplacian.enhance,
        {
            "sigma": 1.0,
            "alpha": 0.7,
            "beta": 0.3,
            "noise": 0.1,
            "key_value": 0.25,
            "shoulder": 4.0,
            "saturation": 1.1,
            "black": 2.0**-7,
        },
    ),
    "multilayer": (
        local_contrast.layers,
        {"gains": (1.3, 1.8, 1.8), "compression": 0.8, "lift": 0.6},
    ),
    "nonlocal_dehazing": (haze_lines.dehaze, {}),
}


def make(name: str, **options) -> Callable:
    """Looks an operator up and fixes its options.

    Args:
      name: a key of `OPERATORS`.
      **options: of its function, over those of the table.

    Returns:
      A pure function `image -> image`; may be jitted, and differentiated in what it was given.

    Raises:
      ValueError: unknown operator.
      TypeError: an option that the operator does not know.
    """
    if name not in OPERATORS:
        known = ", ".join(map(repr, sorted(OPERATORS)))
        raise ValueError(f"unknown operator {name!r}; known are {known}")
    function, preset = OPERATORS[name]
    known = defaults(name)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(f"operator {name!r} has no option {unknown[0]!r}; it has {sorted(known)}")
    return functools.partial(function, **preset | options)


def defaults(name: str) -> dict:
    """Lists the options of an operator with the values that it takes by itself.

    Args:
      name: a key of `OPERATORS`.
    """
    function, preset = OPERATORS[name]
    parameters = inspect.signature(function).parameters.values()
    own = {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    return own | preset

"""Registry of photo operators: teachers and baselines of networks, by name.

Every operator maps a display-referred photo `[*b, h, w, 3]` in [0, 1] and keyword options to a
photo in [0, 1]; see docs/filters.md.
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
        local_contrast.multilayer,
        {"gains": (1.3, 1.8, 1.8), "compression": 0.8, "lift": 0.6},
    ),
    "nonlocal_dehazing": (haze_lines.dehaze, {}),
}


def make(name: str, **options) -> Callable:
    """Makes a photo operator by name, with its options bound.

    Args:
      name: a key of `OPERATORS`.
      **options: of its function; they override those of the table.

    Returns:
      A pure function `image -> image`; may be jitted, and differentiated by image and options.

    Raises:
      ValueError: unknown operator.
      TypeError: an unknown option.
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
    """The options of an operator and their default values.

    Args:
      name: a key of `OPERATORS`.
    """
    function, preset = OPERATORS[name]
    parameters = inspect.signature(function).parameters.values()
    own = {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    return own | preset

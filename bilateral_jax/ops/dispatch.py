"""Which implementation runs: one table, one rule, decided from facts.

No exception is caught to pick another one: what is named runs, or says why not.
"""

import types

import jax

from bilateral_jax.ops import reference, xla

IMPLEMENTATIONS: dict[str, types.ModuleType] = {
    "reference": reference,
    "xla": xla,
}

# Platforms without a kernel of their own run the XLA formulation.
_DEFAULT = {"cpu": "xla", "gpu": "xla", "tpu": "xla"}


def resolve(implementation: str | None) -> str:
    """The name of the implementation to run.

    Args:
      implementation: a name, which is run as it is, or None to choose by the default backend's
        platform. The platform is asked for at call time: asking at import would fix the device
        count too early.

    Returns:
      A key of `IMPLEMENTATIONS`.

    Raises:
      ValueError: for a name that is not in the table.
    """
    if implementation is None:
        return _DEFAULT.get(jax.default_backend(), "xla")
    if implementation not in IMPLEMENTATIONS:
        known = ", ".join(repr(name) for name in IMPLEMENTATIONS)
        raise ValueError(f"implementation must be None or one of {known}, got {implementation!r}")
    return implementation


def function(implementation: str, operation: str):
    """`slice_apply` or `splat_apply` of a resolved implementation."""
    return getattr(IMPLEMENTATIONS[implementation], operation)

"""Layers of a feature network by name."""

from collections.abc import Sequence


def last_layer(layers: Sequence[str], *, names: Sequence[str]) -> int:
    """Checks names of layers and finds the one up to which the network must be computed.

    Args:
      layers: names, in any order.
      names: all that the network has, first to last.

    Returns:
      The position of the last one in `names`.

    Raises:
      ValueError: no layers, or one that is not in `names`.
    """
    if not layers or isinstance(layers, str) or not set(layers) <= set(names):
        raise ValueError(f"layers must be some of {', '.join(names)}; got {layers!r}")
    return max(names.index(name) for name in layers)

"""Positions in a source: what every `__getitem__` makes of its index.

Receives indices from the sources of data/.
Hands them positions that exist.
"""

import operator


def position(index, count, of) -> int:
    """Counts a position from the front.

    Args:
      index: integer in [-count, count); negative ones count from the end, as in a list.
      count: length of the source.
      of: what it holds, for the message: "pairs".

    Returns:
      The position in [0, count).

    Raises:
      IndexError: there is no such position.
      TypeError: `index` is no integer.
    """
    index = operator.index(index)
    if not -count <= index < count:
        raise IndexError(f"index {index} is outside a source of {count} {of}")
    return index % count

"""Data sources by name, so that a config can choose them.

Receives sections from configs.
Hands sources (length and random access) to experiments/train.py.
"""

import functools

from bilateral_jax.data import pairs, synthetic


class Part:
    """Elements `start` to `stop` of a source, to hold some of it out."""

    def __init__(self, source, start, stop):
        self._source, self._indices = source, range(len(source))[start:stop]

    def __len__(self):
        return len(self._indices)

    def __getitem__(self, index):
        """Gives element `start + index` of the source."""
        return self._source[self._indices[index]]


def make(kind, *, start=None, stop=None, **options):
    """Makes a source of pairs.

    Args:
      kind: "folder" (`root`, `inputs`, `targets`), "lists" (`inputs`, `targets`: text files with
        one path per line), "demo" (photos that need no network) or "synthetic" (procedural).
      start: first element to use, as in a Python slice.
      stop: the element after the last one to use, as in a Python slice.
      **options: of that source.

    Returns:
      An object with `len` and `[i] -> {"input", "target", "name"}`.

    Raises:
      ValueError: unknown kind, or what the source finds wrong.
      TypeError: an option that the source does not know; the message names it.
    """
    source = _whole(kind, **options)
    return source if start is None and stop is None else Part(source, start, stop)


def _whole(kind, **options):
    if kind == "folder":
        return pairs.PairedFolder(**options)
    if kind == "lists":
        return pairs.PairedFolder.from_lists(**options)
    if kind == "synthetic":
        return synthetic.SyntheticPairs(**options)
    if kind == "demo":
        return _demo(**options)
    raise ValueError(f"unknown source {kind!r}; known are 'demo', 'folder', 'lists', 'synthetic'")


@functools.lru_cache(maxsize=2)
def _demo(**options):
    """Makes the demo's pairs once: their operator takes seconds; same options, same pairs."""
    from bilateral_jax.data import demo  # its photos live in packages that only the demo needs

    return demo.DemoPhotos(**options)

"""Data sources by name, so that a config can choose them.

Receives sections from configs.
Hands sources (length and random access) to experiments/train.py.
"""

import functools

from bilateral_jax.data.pipeline import whole_photos
from bilateral_jax.data.records import prepared
from bilateral_jax.data.sources import ava, dped, fivek, pairs, tid2013, unpaired, video_pairs
from bilateral_jax.data.synthetic import degraded_clips, operator_targets, procedural, underexposed


class Part:
    """Elements `start` to `stop` of a source, to hold some of it out."""

    def __init__(self, source, start, stop):
        self._source, self._indices = source, range(len(source))[start:stop]

    def __len__(self):
        return len(self._indices)

    def __getitem__(self, index):
        """Gives element `start + index` of the source."""
        return self._source[self._indices[index]]

    @property
    def skipped(self):
        """What the source has left out, as (name, reason)."""
        return getattr(self._source, "skipped", [])


def make(kind, *, start=None, stop=None, **options):
    """Makes a source.

    Args:
      kind: a key of `KINDS`; docs/data.md has a section for each.
      start: first element to use, as in a Python slice.
      stop: the element after the last one to use, as in a Python slice.
      **options: of that source.

    Returns:
      An object with `len` and random access. Elements are `{"input", "target", "name"}`, or
      `{"image", "name", ...}` for single and labelled pictures.

    Raises:
      ValueError: unknown kind, or what the source finds wrong.
      TypeError: an option that the source does not know; the message names it.
    """
    if kind not in KINDS:
        raise ValueError(
            f"unknown source {kind!r}; known are {', '.join(map(repr, sorted(KINDS)))}"
        )
    source = KINDS[kind](**options)
    if start is None and stop is None:
        return source
    # Files are cut by their own source, so that no record of the rest stands in for a bad one.
    own = getattr(source, "part", None)
    return Part(source, start, stop) if own is None else own(start, stop)


@functools.lru_cache(maxsize=2)
def _demo(**options):
    """Makes the demo's pairs once: their operator takes seconds; same options, same pairs."""
    from bilateral_jax.data.synthetic import (
        demo_photos,  # its photos live in packages that only the demo needs
    )

    return demo_photos.DemoPhotos(**options)


def _shrunk(*, photos, short_side):
    return whole_photos.Shrunk(make(**photos), short_side)


@functools.lru_cache(maxsize=2)
def _phone(**options):
    """Makes the pairs once, as `_demo`."""
    from bilateral_jax.data.synthetic import simulated_phone

    return simulated_phone.PhonePhotos(**options)


def _graded(**options):
    from bilateral_jax.data.synthetic import synthetic_ratings  # its photos, too

    return synthetic_ratings.GradedPhotos(**options)


def _retouched(root, **checks):
    """The demo's retouch of other photos."""
    from bilateral_jax.data.synthetic import demo_photos

    return demo_photos.Retouched(root, **checks)


def _darkened(*, pairs, **options):
    """Wraps another paired source, given as a section of its own."""
    return underexposed.Darkened(make(**pairs), **options)


KINDS = {
    "ava": ava.votes,
    "darkened": _darkened,
    "demo": _demo,
    "demo_inputs": operator_targets.DemoInputs,
    "dped": dped.patches,
    "dped_photos": dped.photos,
    "fivek": fivek.paired,
    "fivek_unpaired": fivek.strangers,
    "folder": pairs.PairedFolder,
    "graded": _graded,
    "intvid": degraded_clips.clips,
    "lists": pairs.PairedFolder.from_lists,
    "phone": _phone,
    "photos": operator_targets.photo_folder,
    "prepared": prepared.open_,
    "prepared_unpaired": prepared.strangers,
    "prepared_video": prepared.windows,
    "retouched": _retouched,
    "shrunk": _shrunk,
    "synthetic": procedural.SyntheticPairs,
    "tid2013": tid2013.scores,
    "unpaired": unpaired.folders,
    "video": video_pairs.weak_pairs,
    "video_unpaired": video_pairs.strangers,
}


def register(kind, function):
    """Adds a source that lives outside of this package.

    Args:
      kind: its name in configs.
      function: keyword options -> source.
    """
    KINDS[kind] = function

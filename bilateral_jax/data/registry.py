"""Data sources by name, so that a config can choose them."""

import functools
from collections.abc import Callable
from typing import Any

from bilateral_jax.data import option_errors
from bilateral_jax.data.pipeline import whole_photos
from bilateral_jax.data.records import prepared
from bilateral_jax.data.sources import (
    ava,
    disjoint,
    dped,
    fivek,
    pairs,
    tid2013,
    unpaired,
    video_pairs,
    views,
)
from bilateral_jax.data.synthetic import (
    channel_permutations,
    degraded_clips,
    dulled,
    operator_targets,
    procedural,
    underexposed,
)


def make(kind: str, *, start: int | None = None, stop: int | None = None, **options) -> Any:
    """Makes a source.

    Args:
      kind: a key of `KINDS`, see docs/data.md.
      start: first element to use, as in a Python slice.
      stop: the element after the last one to use, as in a Python slice.
      **options: of that source.

    Returns:
      An object with `len` and random access. Elements are `{"input", "target", "name"}`, or
      `{"image", "name", ...}` for single and labelled images.

    Raises:
      ValueError: unknown kind, or bad options or files, see the source.
      TypeError: an unknown option, or a missing one, by name.
    """
    if kind not in KINDS:
        raise ValueError(
            f"unknown source {kind!r}; known are {', '.join(map(repr, sorted(KINDS)))}"
        )
    try:
        source = KINDS[kind](**options)
    except TypeError as error:
        reason = option_errors.reason(error)
        if reason is None:
            raise
        raise TypeError(f"source {kind!r} {reason}") from error
    if start is None and stop is None:
        return source
    # A source of files has its own, which takes no substitute from outside the part.
    part = getattr(source, "part", None)
    return views.Subset(source, start, stop) if part is None else part(start, stop)


@functools.lru_cache(maxsize=2)
def _demo(**options):
    """Makes the demo's pairs once per choice of options: their operator takes seconds."""
    from bilateral_jax.data.synthetic import demo_photos  # imports what only the demo needs

    return demo_photos.DemoPhotos(**options)


def _resized(*, photos, **options):
    return whole_photos.Resized(make(**photos), **options)


@functools.lru_cache(maxsize=2)
def _phone(**options):
    """Makes the pairs once per choice of options, as `_demo`."""
    from bilateral_jax.data.synthetic import simulated_phone

    return simulated_phone.SimulatedPhone(**options)


def _synthetic_ratings(**options):
    from bilateral_jax.data.synthetic import synthetic_ratings  # imports what only the demo needs

    return synthetic_ratings.SyntheticRatings(**options)


def _retouched(root, **checks):
    """Applies the demo's operator to a folder of photos."""
    from bilateral_jax.data.synthetic import demo_photos

    return demo_photos.RetouchedFolder(root, **checks)


def _photos(root, *, split=None, heldout=None, seed=0, **options):
    """Lists the photos of one folder, or of one part of it."""
    if (split is None) != (heldout is None):
        raise ValueError(f"split and heldout go together, got {split!r} and {heldout!r}")
    photos = unpaired.ImageSource.folder(root, **options)
    if split is None:
        return photos
    if options.get("verify") != "none":
        disjoint.refuse_copies(root)
    names = [photos.name(index) for index in range(len(photos))]
    return photos.select(disjoint.split(names, split, heldout, seed=seed))


def _unpaired_halves(*, photos, dull, permute_channels=False, seed=0, rounds=64):
    """Dulls one half of a set of photos; the targets are the other half."""
    photos = make(**photos)
    inputs, targets = (
        views.select(photos, half) for half in disjoint.halves(len(photos), seed=seed)
    )
    if permute_channels:
        inputs, targets = map(channel_permutations.ChannelPermutations, (inputs, targets))
    # Kept in memory here: every photo occurs in many elements.
    sides = [views.Cached(each) for each in (dulled.Dulled(inputs, **dull), targets)]
    return unpaired.Unpaired(*sides, seed=seed, rounds=rounds)


def _unpaired_pairs(*, pairs, disjoint_halves=False, seed=0, rounds=64):
    """Ignores the pairing of a paired source, given as a section of its own."""
    inputs = targets = make(**pairs)
    if disjoint_halves:
        halves = disjoint.halves(len(inputs), seed=seed)
        inputs, targets = (views.select(inputs, half) for half in halves)
    return unpaired.Unpaired(inputs, targets, seed=seed, rounds=rounds)


def _dulled(*, photos, **options):
    """Wraps a source of photos, given as a section of its own."""
    return dulled.Dulled(make(**photos), **options)


def _underexposed(*, pairs, **options):
    """Wraps another paired source, given as a section of its own."""
    return underexposed.Underexposed(make(**pairs), **options)


KINDS = {
    "ava": ava.votes,
    "darkened": _underexposed,
    "demo": _demo,
    "demo_inputs": operator_targets.DemoInputs,
    "dped": dped.patches,
    "dped_photos": dped.photos,
    "dulled": _dulled,
    "fivek": fivek.paired,
    "fivek_unpaired": fivek.unpaired_photos,
    "folder": pairs.PairedFolder,
    "graded": _synthetic_ratings,
    "intvid": degraded_clips.clips,
    "lists": pairs.PairedFolder.from_lists,
    "phone": _phone,
    "photos": _photos,
    "prepared": prepared.open_,
    "prepared_unpaired": prepared.unpaired_images,
    "prepared_video": prepared.windows,
    "retouched": _retouched,
    "shrunk": _resized,
    "synthetic": procedural.SyntheticPairs,
    "tid2013": tid2013.scores,
    "unpaired": unpaired.folders,
    "unpaired_halves": _unpaired_halves,
    "unpaired_pairs": _unpaired_pairs,
    "video": video_pairs.weak_pairs,
    "video_unpaired": video_pairs.unpaired_clips,
}


def register(kind: str, function: Callable[..., Any]) -> None:
    """Adds a source that lives outside of this package.

    Args:
      kind: its name in configs.
      function: keyword options -> source.
    """
    KINDS[kind] = function

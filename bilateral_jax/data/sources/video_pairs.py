"""Pairs of video windows of two cameras: weakly paired (some frames apart), or unpaired."""

from __future__ import annotations

import numpy as np

from bilateral_jax.data.sources import file_source, unpaired, video


class WeakPairs(file_source.FileSource):
    """Pairs windows of one camera with another's of the same clip, some frames earlier or later.

    Two cameras on one rig do not start at the same instant. Element `r * n + i` is window i of the
    inputs with an offset drawn from the seed and its index, among those for which the other camera
    has all frames.

    Args:
      inputs: `video.Windows`.
      targets: `video.Windows` of the other camera, with the same count and stride.
      max_offset: largest offset in frames, in either direction.
      seed: of the offsets.
      rounds: passes over the inputs, each with other offsets.
      on_bad: "refuse" or "skip", see `file_source.FileSource`; a window without a partner is bad.

    Raises:
      ValueError: a negative offset, no rounds, different windows; or as `file_source.FileSource`.
    """

    def __init__(self, inputs, targets, *, max_offset=3, seed=0, rounds=1, on_bad="refuse"):
        if max_offset < 0 or rounds < 1:
            raise ValueError(
                "max_offset must be at least 0 and rounds at least 1, got "
                f"{max_offset} and {rounds}"
            )
        if inputs.offsets != targets.offsets:
            raise ValueError("inputs and targets must have windows of the same frames")
        self._inputs, self._targets = inputs, targets
        self._seed, self._range = seed, range(-max_offset, max_offset + 1)
        paired = [start for start in inputs.starts if self._partners(start)]
        names = [video.frame_name(start) for start in inputs.starts if not self._partners(start)]
        lost = [(name, f"no partner within {max_offset} frames of {name}") for name in names]
        super().__init__(enumerate(paired * rounds), lost=lost, verify="none", on_bad=on_bad)
        self.skipped += [*inputs.skipped, *targets.skipped]

    def identity(self) -> dict:
        """Describes the pairs and the windows of both cameras, see `views.identity`."""
        sides = {"inputs": self._inputs, "targets": self._targets}
        return super().identity() | {n: side.identity() for n, side in sides.items()}

    def _partners(self, start):
        complete = self._targets.is_complete
        return [d for d in self._range if complete(start.clip, start.number + d)]

    def _offset(self, record):
        number, start = record
        rng = np.random.default_rng((self._seed, number))
        return int(rng.choice(self._partners(start)))

    def _name(self, record):
        return video.frame_name(record[1])

    def _read(self, record):
        clip, number = record[1]
        return {
            "input": self._inputs.window(clip, number),
            "target": self._targets.window(clip, number + self._offset(record)),
            "name": self._name(record),
        }


def weak_pairs(
    root,
    *,
    inputs: str,
    targets: str,
    frames: int = 7,
    stride: int = 1,
    step: int | None = None,
    max_offset: int = 3,
    seed: int = 0,
    rounds: int = 1,
    **options,
) -> WeakPairs:
    """Pairs the windows of two cameras (Vid3oC).

    Args:
      root: the folder that holds both cameras' trees.
      inputs: tree of the inputs below `root`, such as "train/zed" or "TrainingSourceDomain".
      targets: tree of the targets.
      frames: in a window.
      stride: see `video.Windows`.
      step: see `video.Windows`.
      max_offset: see `WeakPairs`.
      seed: see `WeakPairs`.
      rounds: see `WeakPairs`.
      **options: `bits`, `follow_links` of `video.Frames`; `verify`, `on_bad`, `threads`.

    Returns:
      Source of `{"input", "target": [t, h, w, 3], "name"}`.

    Raises:
      ValueError: as the classes.
    """
    sides = [
        video.windows_of(root, name, count=frames, stride=stride, step=step, **options)
        for name in (inputs, targets)
    ]
    on_bad = options.get("on_bad", "refuse")
    return WeakPairs(*sides, max_offset=max_offset, seed=seed, rounds=rounds, on_bad=on_bad)


def unpaired_clips(
    root,
    *,
    inputs: str,
    targets: str,
    frames: int = 7,
    stride: int = 1,
    step: int | None = None,
    seed: int = 0,
    rounds: int = 64,
    **options,
) -> unpaired.Unpaired:
    """Combines windows of two trees at random.

    Args:
      root: the folder that holds both trees.
      inputs: tree of the inputs below `root`.
      targets: tree of the targets.
      frames: in a window.
      stride: see `video.Windows`.
      step: see `video.Windows`.
      seed: see `unpaired.Unpaired`.
      rounds: see `unpaired.Unpaired`.
      **options: as for `weak_pairs`.

    Returns:
      Source of `{"input", "target": [t, h, w, 3], "name", "target_name"}`.

    Raises:
      ValueError: as the classes.
    """
    sides = [
        video.windows_of(root, name, count=frames, stride=stride, step=step, **options)
        for name in (inputs, targets)
    ]
    return unpaired.Unpaired(*sides, seed=seed, rounds=rounds)

"""Pairs of degraded and clean video windows, degraded when they are read.

Each frame is reduced, compressed as JPEG (in place of the transform coding of H.264), and enlarged
to its size; all frames of a window have one JPEG quality.
"""

from __future__ import annotations

import pathlib

import numpy as np

from bilateral_jax.data.sources import video, views
from bilateral_jax.data.synthetic import jpeg


class DegradedClips(views.View):
    """Windows with a degraded copy: `{"input", "target": uint8 [t, h, w, 3], "name"}`.

    Element `r * n + i` is window i, with a quality drawn from the seed and its index.

    Args:
      windows: source of `{"image": uint8 [t, h, w, 3], "name"}`.
      scale: factor of height and width.
      quality: (lowest, highest) JPEG quality.
      same_size: enlarge the copy to the size of the clean window.
      seed: of the qualities.
      rounds: passes over the windows, each with other qualities.

    Raises:
      ValueError: an impossible scale, quality or number of rounds.
    """

    def __init__(self, windows, *, scale=0.5, quality=(10, 40), same_size=True, seed=0, rounds=1):
        low, high = quality
        if not 0 < scale <= 1 or not 1 <= low <= high <= 100 or rounds < 1:
            raise ValueError(
                "scale must be in (0, 1], quality two values in 1..100 and rounds at least 1, got "
                f"{scale}, {quality} and {rounds}"
            )
        super().__init__(windows)
        self._scale, self._same_size = scale, same_size
        self._quality, self._seed, self._rounds = (low, high), seed, rounds

    def __len__(self) -> int:
        return super().__len__() * self._rounds

    def __getitem__(self, index: int) -> dict:
        """Reads one window and makes the degraded copy.

        Args:
          index: position in [-len, len).

        Returns:
          The pair of windows and the name.

        Raises:
          IndexError: there is no such element.
          ValueError: the window cannot be read, or is not 8 bits deep.
        """
        index = views.check_index(index, len(self), "windows")
        clean = self._source[index % len(self._source)]
        if clean["image"].dtype != np.uint8:
            raise ValueError(f"{clean['name']} is {clean['image'].dtype}; 8 bits are expected")
        low, high = self._quality
        quality = int(np.random.default_rng((self._seed, index)).integers(low, high + 1))
        degraded = np.stack([self._degrade(frame, quality) for frame in clean["image"]])
        return {"input": degraded, "target": clean["image"], "name": clean["name"]}

    def _degrade(self, frame, quality):
        import cv2

        height, width = (max(1, round(side * self._scale)) for side in frame.shape[:2])
        small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        compressed = jpeg.compress(small, quality)
        if not self._same_size:
            return compressed
        return cv2.resize(compressed, frame.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def clips(
    root,
    *,
    frames: int = 7,
    stride: int = 1,
    step: int | None = None,
    follow_links: bool = False,
    verify: str = "headers",
    on_bad: str = "refuse",
    threads: int = 8,
    **options,
) -> DegradedClips:
    """Pairs the windows of one tree of clips (IntVID) with degraded copies.

    Args:
      root: folder with one folder of frames per clip.
      frames: in a window.
      stride: see `video.Windows`.
      step: see `video.Windows`.
      follow_links: accept links that lead out of `root`.
      verify: see `file_source.FileSource`.
      on_bad: see `file_source.FileSource`.
      threads: see `file_source.FileSource`.
      **options: `scale`, `quality`, `same_size`, `seed`, `rounds` of `DegradedClips`.

    Returns:
      Source of `{"input", "target": uint8 [t, h, w, 3], "name"}`.

    Raises:
      ValueError: as the classes.
    """
    single = video.Frames(
        pathlib.Path(root),
        bits=8,
        follow_links=follow_links,
        verify=verify,
        on_bad=on_bad,
        threads=threads,
    )
    windows = video.Windows(single, count=frames, stride=stride, step=step, on_bad=on_bad)
    return DegradedClips(windows, **options)

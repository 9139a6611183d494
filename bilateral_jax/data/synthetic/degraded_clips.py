"""Clean clips made worse on the fly: smaller, and compressed as a camera or a web site would.

Each frame is reduced, compressed as JPEG (a stand-in for the transform coding of H.264), and
brought back to its size; the strength is one for a whole window.

Receives windows from `data/sources/video.py`.
Hands elements to `data/pipeline/batches.py`.
"""

from __future__ import annotations

import pathlib

import numpy as np

from bilateral_jax.data.sources import index_checks, video


class Degraded:
    """Pairs each clean window with a worse copy: `{"input", "target": uint8 [t, h, w, 3], "name"}`.

    Element `r * n + i` is window i, made worse as drawn from the seed and its index alone.

    Args:
      windows: source of `{"image": uint8 [t, h, w, 3], "name"}`.
      scale: by which height and width are reduced.
      quality: (lowest, highest) JPEG quality.
      same_size: bring the copy back to the size of the clean window; else it stays small.
      seed: of the qualities.
      rounds: how many times the windows are gone through, each time with other qualities.

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
        self._windows, self._scale, self._same_size = windows, scale, same_size
        self._quality, self._seed, self._rounds = (low, high), seed, rounds

    def __len__(self) -> int:
        return len(self._windows) * self._rounds

    @property
    def skipped(self) -> list:
        """What the windows have left out, as (name, reason)."""
        return getattr(self._windows, "skipped", [])

    def __getitem__(self, index: int) -> dict:
        """Reads one window and makes a worse copy.

        Args:
          index: position in [-len, len).

        Returns:
          The pair of windows and the name.

        Raises:
          IndexError: there is no such element.
          ValueError: the window cannot be read, or is not 8 bits deep.
        """
        index = index_checks.position(index, len(self), "windows")
        clean = self._windows[index % len(self._windows)]
        if clean["image"].dtype != np.uint8:
            raise ValueError(f"{clean['name']} is {clean['image'].dtype}; 8 bits are expected")
        low, high = self._quality
        quality = int(np.random.default_rng((self._seed, index)).integers(low, high + 1))
        worse = np.stack([self._worsen(frame, quality) for frame in clean["image"]])
        return {"input": worse, "target": clean["image"], "name": clean["name"]}

    def _worsen(self, frame, quality):
        import cv2

        height, width = (max(1, round(side * self._scale)) for side in frame.shape[:2])
        small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        options = [cv2.IMWRITE_JPEG_QUALITY, quality]
        done, content = cv2.imencode(".jpg", np.ascontiguousarray(small[..., ::-1]), options)
        if not done:
            raise ValueError("OpenCV could not compress a frame as JPEG")
        coded = cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]
        if not self._same_size:
            return coded
        size = frame.shape[1::-1]
        return cv2.resize(np.ascontiguousarray(coded), size, interpolation=cv2.INTER_CUBIC)


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
) -> Degraded:
    """Takes the windows of one tree of clips (IntVID) and makes them worse.

    Args:
      root: folder with one folder of frames per clip.
      frames: in a window.
      stride: see `video.Windows`.
      step: see `video.Windows`.
      follow_links: accept links that lead out of `root`.
      verify: see `checked.Checked`.
      on_bad: see `checked.Checked`.
      threads: see `checked.Checked`.
      **options: `scale`, `quality`, `same_size`, `seed`, `rounds` of `Degraded`.

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
    return Degraded(windows, **options)

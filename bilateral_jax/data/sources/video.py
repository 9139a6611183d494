"""Video as folders of frames: windows of consecutive frames.

A tree of clips is a folder with one folder per clip and the frames in it, sorted by the number in
their names: `ROOT/SPLIT/CAMERA/CLIP/FRAME.png`, as Vid3oC; IntVID is one such tree. A window never
reaches over a missing number.

Receives folders from the user, or frames from `data/records/prepared.py`.
Hands windows to `data/sources/video_pairs.py` and `data/synthetic/degraded_clips.py`.

Reference: Kim et al., "The Vid3oC and IntVID Datasets for Video Super Resolution and Quality
Mapping", ICCV Workshops 2019.
"""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import numpy as np

from bilateral_jax.data.sources import file_source, image_files, readers


class Place(NamedTuple):
    """Where a frame belongs: which clip, which number in it."""

    clip: str
    number: int


class Frame(NamedTuple):
    """One frame: its place and its file."""

    place: Place
    path: pathlib.Path


class Frames(file_source.Checked):
    """The single frames of a tree of clips: `{"image": uint8 or uint16 [h, w, 3], "name"}`.

    Args:
      root: folder with one folder per clip.
      bits: 8 or 16 where nothing else is to be accepted.
      follow_links: accept links that lead out of `root`.
      **checks: `verify`, `on_bad`, `threads` of `checked.Checked`.

    Raises:
      ValueError: there are no clips, a clip has no frames or two of one number, a link leads out,
        or as `checked.Checked`.
    """

    def __init__(self, root, *, bits=None, follow_links=False, **checks):
        self._rendition = readers.AsStored(bits)
        root = pathlib.Path(root)
        clips = image_files.entries(root, follow_links=follow_links, folders=True)
        if not clips:
            raise ValueError(f"{root} holds no folders; each clip must be a folder of frames")
        frames = []
        for clip in sorted(clips, key=lambda path: path.name):
            frames += _numbered(clip, root, follow_links)
        super().__init__(frames, **checks)

    @property
    def places(self) -> list[Place]:
        """The place of every frame, in order."""
        return [record.place for record in self._records]

    def _name(self, record):
        return frame_name(record.place)

    def _inspect(self, record):
        self._rendition.size(record.path)

    def _read(self, record):
        return {"image": self._rendition.read(record.path), "name": self._name(record)}

    def _encode(self, record):
        return {"image": self._rendition.encoded(record.path)[0], "name": self._name(record)}


class Windows(file_source.Checked):
    """Windows of T frames: `{"image": [t, h, w, 3], "name": "CLIP/FIRST"}`.

    Args:
      frames: source of single frames with `places` and `exact`, such as `Frames`.
      count: frames in a window.
      stride: numbers from one frame of a window to the next.
      step: numbers from the start of one window to that of the next; None for windows that follow
        upon each other without sharing frames.
      on_bad: "refuse" or "skip", see `checked.Checked`: a window with a bad frame is a bad record.

    Raises:
      ValueError: counts below 1, or no clip is long enough.
    """

    def __init__(self, frames, *, count=7, stride=1, step=None, on_bad="refuse"):
        step = count * stride if step is None else step
        if min(count, stride, step) < 1:
            raise ValueError(
                f"count, stride and step must be at least 1, got {count}, {stride} and {step}"
            )
        self._frames = frames
        self.index = {place: i for i, place in enumerate(frames.places)}
        self.offsets = [n * stride for n in range(count)]
        starts = []
        for clip, numbers in _by_clip(frames.places).items():
            whole = (n for n in numbers if self.reaches(clip, n))
            starts += [Place(clip, n) for n in whole if (n - numbers[0]) % step == 0]
        if not starts:
            raise ValueError(f"no clip has {count} frames in a row (stride {stride})")
        super().__init__(starts, verify="none", on_bad=on_bad)
        self.skipped = [*getattr(frames, "skipped", [])]

    @property
    def starts(self) -> list[Place]:
        """The first frame of every window, in order."""
        return list(self._records)

    def reaches(self, clip: str, number: int) -> bool:
        """Whether all frames of the window that would start here are there.

        Args:
          clip: name of a clip.
          number: of its first frame.

        Returns:
          True or False.
        """
        return all(Place(clip, number + offset) in self.index for offset in self.offsets)

    def window(self, clip: str, number: int) -> np.ndarray:
        """Reads the window that starts at a frame, whether or not it is an element.

        Args:
          clip: name of a clip.
          number: of its first frame.

        Returns:
          uint8 or uint16 `[t, h, w, 3]`.

        Raises:
          ValueError: a frame cannot be read, or they differ in size or depth.
        """
        places = [Place(clip, number + offset) for offset in self.offsets]
        frames = [self._frames.exact(self.index[place])["image"] for place in places]
        if len({(frame.shape, frame.dtype) for frame in frames}) > 1:
            raise ValueError(
                f"the frames {frame_name(places[0])} to {frame_name(places[-1])} differ in size or "
                "depth"
            )
        return np.stack(frames)

    def _name(self, record):
        return frame_name(record)

    def _read(self, record):
        return {"image": self.window(*record), "name": frame_name(record)}


def frame_name(place: Place) -> str:
    """Names a frame or the window that starts there.

    Args:
      place: of the frame.

    Returns:
      "CLIP/000012".
    """
    return f"{place.clip}/{place.number:06d}"


def windows_of(root, name, *, count, stride, step, **options) -> Windows:
    """Makes the windows of one tree.

    Args:
      root: the folder that holds the tree.
      name: of the tree below `root`.
      count: frames in a window.
      stride: see `Windows`.
      step: see `Windows`.
      **options: `bits`, `follow_links` of `Frames`; `verify`, `on_bad`, `threads`.

    Returns:
      The windows.

    Raises:
      ValueError: as the classes.
    """
    frames = Frames(pathlib.Path(root) / name, **options)
    on_bad = options.get("on_bad", "refuse")
    return Windows(frames, count=count, stride=stride, step=step, on_bad=on_bad)


def _numbered(clip, root, follow_links):
    """Lists the frames of one clip in order."""
    found = image_files.pictures(clip, root=root, follow_links=follow_links)
    frames = [Frame(Place(clip.name, image_files.number(s)[0]), path) for s, path in found.items()]
    frames.sort(key=lambda frame: frame.place)
    for one, other in zip([None, *frames], frames):
        if other.place.number < 0:
            raise ValueError(f"frame {other.path} has no number in its name")
        if one and one.place == other.place:
            raise ValueError(f"{one.path.name} and {other.path.name} in {clip} have one number")
    return frames


def _by_clip(places):
    numbers = {}
    for clip, number in places:
        numbers.setdefault(clip, []).append(number)
    return numbers

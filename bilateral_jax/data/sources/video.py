"""Video stored as folders of frames: windows of consecutive frames.

A tree of clips is a folder with one folder per clip and the frames in it, sorted by the number in
their names: `ROOT/SPLIT/CAMERA/CLIP/FRAME.png`, as in Vid3oC; IntVID is one such tree. A window
does not span a missing number.

Reference: Kim et al., "The Vid3oC and IntVID Datasets for Video Super Resolution and Quality
Mapping", ICCV Workshops 2019.
"""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import numpy as np

from bilateral_jax.data.sources import file_source, image_files, readers


class FrameId(NamedTuple):
    """Name of a clip and number of a frame in it."""

    clip: str
    number: int


class Frame(NamedTuple):
    """A frame and its file."""

    id: FrameId
    path: pathlib.Path


class Frames(file_source.ImageRecords):
    """The single frames of a tree of clips: `{"image": uint8 or uint16 [h, w, 3], "name"}`.

    Args:
      root: folder with one folder per clip.
      bits: 8 or 16 to accept nothing else.
      follow_links: accept links that lead out of `root`.
      **checks: `verify`, `on_bad`, `threads` of `file_source.FileSource`.

    Raises:
      ValueError: there are no clips, a clip has no frames or two of one number, a link leads out,
        or as `file_source.FileSource`.
    """

    def __init__(self, root, *, bits=None, follow_links=False, **checks):
        root = pathlib.Path(root)
        clips = image_files.entries(root, follow_links=follow_links, folders=True)
        if not clips:
            raise ValueError(f"{root} holds no folders; each clip must be a folder of frames")
        frames = []
        for clip in sorted(clips, key=lambda path: path.name):
            frames += _numbered(clip, root, follow_links)
        super().__init__(frames, readers.AsStored(bits), **checks)

    @property
    def frame_ids(self) -> list[FrameId]:
        """The clip and number of every frame, in order."""
        return [record.id for record in self._records]

    def _name(self, record):
        return frame_name(record.id)


class Windows(file_source.FileSource):
    """Windows of T frames: `{"image": [t, h, w, 3], "name": "CLIP/FIRST"}`.

    Args:
      frames: source of single frames with `frame_ids` and `exact`, such as `Frames`.
      count: frames in a window.
      stride: numbers from one frame of a window to the next.
      step: numbers from the start of one window to that of the next; None for windows that do not
        overlap.
      on_bad: "refuse" or "skip", see `file_source.FileSource`: a window with a bad frame is a bad
        record.

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
        self.index = {frame_id: i for i, frame_id in enumerate(frames.frame_ids)}
        self.offsets = [n * stride for n in range(count)]
        starts = []
        for clip, numbers in _by_clip(frames.frame_ids).items():
            complete = (n for n in numbers if self.is_complete(clip, n))
            starts += [FrameId(clip, n) for n in complete if (n - numbers[0]) % step == 0]
        if not starts:
            raise ValueError(f"no clip has {count} frames in a row (stride {stride})")
        super().__init__(starts, verify="none", on_bad=on_bad)
        self.skipped = [*getattr(frames, "skipped", [])]

    @property
    def starts(self) -> list[FrameId]:
        """The first frame of every window, in order."""
        return list(self._records)

    def is_complete(self, clip: str, number: int) -> bool:
        """Whether all frames of the window that starts at a frame exist.

        Args:
          clip: name of a clip.
          number: of its first frame.

        Returns:
          True or False.
        """
        return all(FrameId(clip, number + offset) in self.index for offset in self.offsets)

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
        ids = [FrameId(clip, number + offset) for offset in self.offsets]
        frames = [self._frames.exact(self.index[frame_id])["image"] for frame_id in ids]
        if len({(frame.shape, frame.dtype) for frame in frames}) > 1:
            raise ValueError(
                f"the frames {frame_name(ids[0])} to {frame_name(ids[-1])} differ in size or depth"
            )
        return np.stack(frames)

    def _name(self, record):
        return frame_name(record)

    def _read(self, record):
        return {"image": self.window(*record), "name": frame_name(record)}


def frame_name(frame_id: FrameId) -> str:
    """Returns the name of a frame, or of the window that starts there.

    Args:
      frame_id: of the frame.

    Returns:
      "CLIP/000012".
    """
    return f"{frame_id.clip}/{frame_id.number:06d}"


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
    found = image_files.images_in(clip, root=root, follow_links=follow_links)
    frames = [
        Frame(FrameId(clip.name, image_files.number_key(s)[0]), path) for s, path in found.items()
    ]
    frames.sort(key=lambda frame: frame.id)
    for one, other in zip([None, *frames], frames):
        if other.id.number < 0:
            raise ValueError(f"frame {other.path} has no number in its name")
        if one and one.id == other.id:
            raise ValueError(f"{one.path.name} and {other.path.name} in {clip} have one number")
    return frames


def _by_clip(frame_ids):
    numbers = {}
    for clip, number in frame_ids:
        numbers.setdefault(clip, []).append(number)
    return numbers

"""Patches of two aligned photos: shifted by a few pixels to fit, kept where they correlate.

A homography cannot follow depth or a lens, so a patch of the camera's photo may lie some pixels
off. It is looked for around its place, and the pair is kept if it then correlates well, as DPED's
were.

Receives aligned photos from `align.py`.
Hands the places of patches back to it.
"""

from __future__ import annotations

import dataclasses

import numpy as np

# A patch with less spread than this, in grey levels, correlates by chance or not at all.
FLAT = 1.5
# A farther place must correlate this much better per pixel: where the picture hardly tells (a sky,
# a straight edge), the homography is to be believed.
_PULL = 0.002


@dataclasses.dataclass(frozen=True)
class Patch:
    """One place where a pair of patches could be cut.

    Attributes:
      top: row of the phone's patch.
      left: column of the phone's patch.
      down: pixels by which the camera's patch lies lower.
      right: pixels by which it lies farther right.
      correlation: of the two, after the shift; NaN where one is flat.
      kept: whether it passed.
    """

    top: int
    left: int
    down: int
    right: int
    correlation: float
    kept: bool


def find(camera, phone, *, size: int, stride: int, search: int, correlation: float) -> list[Patch]:
    """Goes over two aligned photos and judges every place.

    Args:
      camera: uint8 `[h, w]`, warped onto the phone's photo.
      phone: uint8 `[h, w]`.
      size: of a patch, in pixels.
      stride: from one place to the next.
      search: how far the camera's patch may be shifted, in pixels.
      correlation: what a pair must exceed.

    Returns:
      Every place, row by row. A patch is not kept if the best shift within `search + 1` pixels is
      that one more: what lies outside is not known, so its true place may be farther still.
    """
    import cv2

    height, width = phone.shape
    margin = search + 1
    found = []
    for top in range(margin, height - size - margin + 1, stride):
        for left in range(margin, width - size - margin + 1, stride):
            ours = phone[top : top + size, left : left + size]
            rows = slice(top - margin, top + size + margin)
            region = camera[rows, left - margin : left + size + margin]
            if min(ours.std(), region.std()) < FLAT:
                found.append(Patch(top, left, 0, 0, float("nan"), False))
                continue
            scores = cv2.matchTemplate(
                region.astype(np.float32), ours.astype(np.float32), cv2.TM_CCOEFF_NORMED
            )
            y, x = np.unravel_index(np.argmax(scores - _pull(margin)), scores.shape)
            down, right = int(y) - margin, int(x) - margin
            near = max(abs(down), abs(right)) <= search
            score = float(scores[y, x])
            found.append(Patch(top, left, down, right, score, near and score > correlation))
    return found


def cut(photo, patch: Patch, size: int, *, shifted: bool) -> np.ndarray:
    """Cuts one patch.

    Args:
      photo: `[h, w, ...]`, one of the two that `find` saw.
      patch: one of its places.
      size: of a patch.
      shifted: True for the camera's photo.

    Returns:
      `[size, size, ...]`, a view.
    """
    top = patch.top + (patch.down if shifted else 0)
    left = patch.left + (patch.right if shifted else 0)
    return photo[top : top + size, left : left + size]


def _pull(margin):
    steps = np.arange(-margin, margin + 1)
    return _PULL * np.hypot(steps[:, None], steps)

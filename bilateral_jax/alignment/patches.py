"""Pairs of patches of two aligned photos: shifted by a few pixels, filtered by correlation.

A homography cannot follow depth or lens distortion, so a patch of the camera's photo may lie some
pixels off. It is searched around its position, and the pair is kept if it then correlates well, as
DPED's were.
"""

from __future__ import annotations

import dataclasses

import numpy as np

# Patches of a smaller standard deviation, in grey levels, have no texture to correlate.
FLAT = 1.5
# A shift must raise the correlation by this much per pixel: where texture is ambiguous (sky, a
# straight edge), the homography is followed.
_SHIFT_PENALTY = 0.002


@dataclasses.dataclass(frozen=True)
class Patch:
    """A candidate pair of patches.

    Attributes:
      top: row of the phone's patch.
      left: column of the phone's patch.
      down: shift of the camera's patch, in pixels.
      right: shift of the camera's patch, in pixels.
      correlation: of the two, after the shift; NaN if one has no texture.
      kept: whether it passed the filter.
    """

    top: int
    left: int
    down: int
    right: int
    correlation: float
    kept: bool


def find(camera, phone, *, size: int, stride: int, search: int, correlation: float) -> list[Patch]:
    """Finds candidate pairs of patches on a regular grid and filters them.

    Args:
      camera: uint8 `[h, w]`, warped onto the phone's photo.
      phone: uint8 `[h, w]`.
      size: of a patch, in pixels.
      stride: between patches, in pixels.
      search: largest shift of the camera's patch, in pixels.
      correlation: the smallest correlation, exclusive.

    Returns:
      All candidates, row by row. One whose best shift is `search + 1` pixels is not kept: its true
      position may be farther still.
    """
    import cv2

    height, width = phone.shape
    margin = search + 1
    found = []
    for top in range(margin, height - size - margin + 1, stride):
        for left in range(margin, width - size - margin + 1, stride):
            template = phone[top : top + size, left : left + size]
            rows = slice(top - margin, top + size + margin)
            region = camera[rows, left - margin : left + size + margin]
            if min(template.std(), region.std()) < FLAT:
                found.append(Patch(top, left, 0, 0, float("nan"), False))
                continue
            scores = cv2.matchTemplate(
                region.astype(np.float32), template.astype(np.float32), cv2.TM_CCOEFF_NORMED
            )
            y, x = np.unravel_index(np.argmax(scores - _shift_penalties(margin)), scores.shape)
            down, right = int(y) - margin, int(x) - margin
            near = max(abs(down), abs(right)) <= search
            score = float(scores[y, x])
            found.append(Patch(top, left, down, right, score, near and score > correlation))
    return found


def cut(photo, patch: Patch, size: int, *, shifted: bool) -> np.ndarray:
    """Cuts one patch out of a photo.

    Args:
      photo: `[h, w, ...]`, one of the two given to `find`.
      patch: from `find`.
      size: of a patch.
      shifted: True for the camera's photo.

    Returns:
      `[size, size, ...]`, a view.
    """
    top = patch.top + (patch.down if shifted else 0)
    left = patch.left + (patch.right if shifted else 0)
    return photo[top : top + size, left : left + size]


def _shift_penalties(margin):
    steps = np.arange(-margin, margin + 1)
    return _SHIFT_PENALTY * np.hypot(steps[:, None], steps)

"""A photo as another camera would have seen it.

Receives photos and homographies from `align.py` and `align_refinement.py`.
Hands warped photos back to them.
"""

from __future__ import annotations

import numpy as np

from bilateral_jax.alignment import geometry

# A band of the finely warped photo stays under this many pixels.
_BAND_PIXELS = 1 << 24


def magnification(homography, box) -> tuple[float, float]:
    """Measures how much a warp enlarges the photo that it starts from.

    Args:
      homography: from that photo to the other one.
      box: of the other photo.

    Returns:
      (Smallest, largest) length that a pixel's side becomes within the box; above 1 the photo has
      fewer pixels than the box asks for.
    """
    top, left, bottom, right = box
    ends = geometry.corners((bottom - top, right - left)) + (left, top)
    back = np.linalg.svd(geometry.jacobians(np.linalg.inv(homography), ends), compute_uv=False)
    return float(1 / back.max()), float(1 / back.min())


def warp(photo, homography, box) -> np.ndarray:
    """Draws a photo as another camera saw it, averaging where that makes it smaller.

    Args:
      photo: uint8, uint16 or float32 `[h, w]` or `[h, w, c]`.
      homography: from the photo to the other one.
      box: the part of the other photo to draw.

    Returns:
      The same dtype, the box's height and width. Cubic interpolation on a grid finer by the whole
      number that reaches the photo's own resolution, then the mean over that many pixels squared;
      what lies outside of the photo repeats its border.
    """
    import cv2

    top, left, bottom, right = box
    height, width = bottom - top, right - left
    fine = int(np.ceil(1 / max(magnification(homography, box)[0], 1e-3) - 0.1))
    fine = min(max(fine, 1), 8)
    moved = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]]) @ homography
    result = np.empty((height, width, *photo.shape[2:]), photo.dtype)
    rows = max(1, _BAND_PIXELS // (width * fine * fine))
    for start in range(0, height, rows):
        count = min(rows, height - start)
        band = geometry.resized(np.array([[1, 0, 0], [0, 1, -start], [0, 0, 1.0]]) @ moved, 1, fine)
        drawn = cv2.warpPerspective(
            photo,
            band,
            (width * fine, count * fine),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        if fine > 1:
            drawn = cv2.resize(drawn, (width, count), interpolation=cv2.INTER_AREA)
        result[start : start + count] = drawn
    return result

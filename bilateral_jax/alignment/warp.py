"""Warps a photo by a homography, with anti-aliasing."""

from __future__ import annotations

import numpy as np

from bilateral_jax.alignment import geometry

# Largest supersampled row tile.
_TILE_PIXELS = 1 << 24


def magnification(homography, box) -> tuple[float, float]:
    """Smallest and largest local scale of a warp.

    Args:
      homography: from the photo to the other one.
      box: of the other photo.

    Returns:
      (Smallest, largest) length of a side of the photo's pixels in the box; above 1 the photo is
      enlarged.
    """
    top, left, bottom, right = box
    ends = geometry.corners((bottom - top, right - left)) + (left, top)
    inverse = geometry.jacobians(np.linalg.inv(homography), ends)
    scales = np.linalg.svd(inverse, compute_uv=False)
    return float(1 / scales.max()), float(1 / scales.min())


def warp(photo, homography, box) -> np.ndarray:
    """Warps a photo, averaging where it is made smaller.

    Cubic interpolation on a grid refined by an integer factor that reaches the photo's resolution,
    then the mean over factor x factor samples. Outside of the photo its border is repeated.

    Args:
      photo: uint8, uint16 or float32 `[h, w]` or `[h, w, c]`.
      homography: from the photo to the other one.
      box: of the other photo, what to compute.

    Returns:
      The same dtype, height and width of the box.
    """
    import cv2

    top, left, bottom, right = box
    height, width = bottom - top, right - left
    fine = int(np.ceil(1 / max(magnification(homography, box)[0], 1e-3) - 0.1))
    fine = min(max(fine, 1), 8)
    shifted = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]]) @ homography
    result = np.empty((height, width, *photo.shape[2:]), photo.dtype)
    rows = max(1, _TILE_PIXELS // (width * fine * fine))
    for start in range(0, height, rows):
        count = min(rows, height - start)
        tile = geometry.resized(
            np.array([[1, 0, 0], [0, 1, -start], [0, 0, 1.0]]) @ shifted, 1, fine
        )
        samples = cv2.warpPerspective(
            photo,
            tile,
            (width * fine, count * fine),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        if fine > 1:
            samples = cv2.resize(samples, (width, count), interpolation=cv2.INTER_AREA)
        result[start : start + count] = samples
    return result

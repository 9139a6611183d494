"""Refines a homography to sub-pixel accuracy by template matching on the full photos.

SIFT on downscaled copies is off by a pixel or more of a large photo. Here the camera's photo is
warped by that homography, and a few hundred windows over the overlap are correlated with the
phone's photo; the peaks, interpolated to a fraction of a pixel, are matches for the next
homography. How many windows agree also shows whether the photos are of the same scene.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from bilateral_jax.alignment import geometry, matching, warp

WINDOW = 48  # side in pixels
WINDOWS = 600  # at most
MIN_WINDOWS = 12
_SMOOTHING = 1.0  # sigma: against noise, and for peaks wide enough to interpolate
_MIN_DEVIATION = 2.5  # of the smoothed grey levels of a window with texture
_MIN_CORRELATION = 0.7  # of a window that matches
_MIN_ROUNDNESS = 0.04  # of a peak: about its smaller curvature over the larger
_ITERATIONS = 3
_CONVERGED = 0.02  # pixels of change
_INLIER_PIXELS = 2.5  # error of the windows to which the homography is fitted
NEAR = 5.0  # pixels: error of the windows that agree; depth and lens distortion add to it


@dataclasses.dataclass(frozen=True)
class Windows:
    """Matches of windows of two photos under a homography.

    Attributes:
      matches: of the windows that agree, in pixels of the full photos.
      textured: number of windows with texture.
      agreeing: number of those that match within `NEAR` pixels of the homography.
    """

    matches: matching.Matches
    textured: int
    agreeing: int


def refine(camera, phone, homography, *, reach: float, seed: int = 0):
    """Refines a homography.

    Args:
      camera: uint8 `[h, w]`.
      phone: uint8 `[h, w]`.
      homography: from camera to phone, accurate to about `reach` pixels.
      reach: in pixels of the phone's photo.
      seed: see `matching.fit`.

    Returns:
      (The homography, `Windows`.) With too few matching windows, the homography is unchanged.
    """
    windows = None
    for number in range(_ITERATIONS):
        radius = max(NEAR, reach) if number == 0 else NEAR
        matches, textured = _match_windows(camera, phone, homography, int(np.ceil(radius)) + 1)
        better, inliers = matching.fit(
            matches,
            threshold=max(_INLIER_PIXELS, reach / 2) if number == 0 else _INLIER_PIXELS,
            seed=seed,
        )
        if better is None or inliers.sum() < MIN_WINDOWS:
            return homography, Windows(matches, textured, 0)
        near = matching.errors(better, matches) <= NEAR
        windows = Windows(matches.select(near), textured, int(near.sum()))
        after, before = (
            geometry.transform(matrix, matches.camera[inliers]) for matrix in (better, homography)
        )
        homography = better
        if number and np.abs(after - before).max() < _CONVERGED:
            break
    return homography, windows


def _match_windows(camera, phone, homography, radius):
    """Correlates windows; gives the matches and the number of windows with texture."""
    import cv2

    polygon = geometry.overlap(homography, camera.shape, phone.shape)
    box = _bounding_box(polygon, phone.shape)
    top, left = box[:2]
    target, warped = (
        cv2.GaussianBlur(image.astype(np.float32), (0, 0), _SMOOTHING)
        for image in (phone[top : box[2], left : box[3]], warp.warp(camera, homography, box))
    )
    margin = WINDOW // 2 + radius
    centres = _window_centres(polygon - (left, top), target.shape, margin)
    deviation = np.minimum(_local_deviation(target), _local_deviation(warped))
    found, textured = [], 0
    for x, y in centres:
        if deviation[y, x] < _MIN_DEVIATION:
            continue
        textured += 1
        half = WINDOW // 2
        template = warped[y - half : y + half, x - half : x + half]
        region = target[y - margin : y + margin, x - margin : x + margin]
        scores = cv2.matchTemplate(region, template, cv2.TM_CCOEFF_NORMED)
        peak = _peak(scores)
        if peak is not None:
            shift = np.array(peak) - radius
            # The side of a window is even: its centre lies between pixels.
            found.append((x - 0.5, y - 0.5, x - 0.5 + shift[0], y - 0.5 + shift[1]))
    found = np.array(found).reshape(-1, 4) + (left, top, left, top)
    camera_points = geometry.transform(np.linalg.inv(homography), found[:, :2])
    return matching.Matches(camera_points, found[:, 2:]), textured


def _bounding_box(polygon, size):
    """Bounding box of a polygon in whole pixels, clipped to the photo."""
    left, top = np.maximum(np.floor(polygon.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(polygon.max(axis=0)) + 1, size[::-1]).astype(int)
    return int(top), int(left), int(bottom), int(right)


def _window_centres(polygon, size, margin):
    """Centres of windows on a regular grid, inside the photo by `margin` and inside the polygon."""
    height, width = size
    area = max((width - 2 * margin) * (height - 2 * margin), 0)
    if area == 0:
        return []
    step = max(WINDOW // 3, int(np.sqrt(area / WINDOWS)))
    x = np.arange(margin, width - margin + 1, step)
    y = np.arange(margin, height - margin + 1, step)
    centres = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    starts, edges = polygon, np.roll(polygon, -1, axis=0) - polygon
    inward = np.stack([-edges[:, 1], edges[:, 0]], axis=1)
    inward /= np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-9)
    distances = ((centres[:, None] - starts) * inward).sum(axis=-1)
    distances *= np.sign(np.median(distances))
    return centres[distances.min(axis=1) > WINDOW // 2 + 1]


def _local_deviation(image):
    """Standard deviation of the smoothed image in the window around every pixel."""
    import cv2

    smooth = cv2.GaussianBlur(image, (0, 0), 2.0)
    mean = cv2.boxFilter(smooth, -1, (WINDOW, WINDOW))
    square = cv2.boxFilter(smooth * smooth, -1, (WINDOW, WINDOW))
    return np.sqrt(np.maximum(square - mean * mean, 0))


def _peak(scores):
    """Sub-pixel position of the maximum; None if it is low, flat or at the border."""
    y, x = np.unravel_index(np.argmax(scores), scores.shape)
    inside = 0 < y < scores.shape[0] - 1 and 0 < x < scores.shape[1] - 1
    if not inside or not scores[y, x] > _MIN_CORRELATION:
        return None
    around = scores[y - 1 : y + 2, x - 1 : x + 2].astype(np.float64)
    # Least-squares quadratic surface through the nine scores.
    slope_x, slope_y = (around[:, 2] - around[:, 0]).mean() / 2, (around[2] - around[0]).mean() / 2
    curve_x = (around[:, 2] - 2 * around[:, 1] + around[:, 0]).mean()
    curve_y = (around[2] - 2 * around[1] + around[0]).mean()
    twist = (around[2, 2] - around[2, 0] - around[0, 2] + around[0, 0]) / 4
    determinant = curve_x * curve_y - twist**2
    # A ridge (a straight edge) does not determine the position along it.
    if curve_x >= 0 or curve_y >= 0 or determinant < _MIN_ROUNDNESS * (curve_x + curve_y) ** 2:
        return None
    shift_x = -(curve_y * slope_x - twist * slope_y) / determinant
    shift_y = -(curve_x * slope_y - twist * slope_x) / determinant
    if max(abs(shift_x), abs(shift_y)) > 1:
        return None
    return x + shift_x, y + shift_y

"""A first homography made exact: windows of the full-size photos slid over each other.

SIFT sees a reduced copy, so its homography is off by a pixel or more of a large photo. Here the
camera's photo is warped by it, and a few hundred windows spread over the overlap are correlated
with the phone's photo around where they should be; the peaks, to a fraction of a pixel, give the
matches for the next homography. The same windows tell whether the two photos show the same thing at
all.

Receives full-size grey photos and a homography from `align.py`.
Hands the exact one and what its windows saw back to it.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from bilateral_jax.alignment import geometry, matching, warp

WINDOW = 48  # side in pixels
WINDOWS = 600  # at most
MIN_WINDOWS = 12
_SMOOTHING = 1.0  # against noise, and so that a peak is wide enough to be placed between pixels
_TEXTURE = (
    2.5  # grey levels of spread, after smoothing away noise, below which a window shows nothing
)
_ALIKE = 0.7  # correlation from which a window agrees
_ROUND = 0.04  # a peak's narrow bend against its wide one, about
_ROUNDS = 3
_STILL = 0.02  # pixels of change below which another round is not worth it
_EXACT = 2.5  # pixels that a window may be off to have a say in the homography
NEAR = 5.0  # and to agree with it: depth and lenses bend what a homography keeps straight


@dataclasses.dataclass(frozen=True)
class Windows:
    """What windows of two photos said about a homography.

    Attributes:
      matches: of the windows that agree, in the two photos' own pixels.
      textured: number of windows that show anything.
      agreeing: number of those that are alike and lie within `NEAR` pixels of where the homography
        says.
    """

    matches: matching.Matches
    textured: int
    agreeing: int


def refine(camera, phone, homography, *, reach: float, seed: int = 0):
    """Makes a homography exact.

    Args:
      camera: uint8 `[h, w]`.
      phone: uint8 `[h, w]`.
      homography: from camera to phone, right to about `reach` pixels.
      reach: in pixels of the phone's photo.
      seed: see `align_matching.fit`.

    Returns:
      (The homography, `Windows`.) Where the windows cannot carry a homography, the one that came.
    """
    windows = None
    for number in range(_ROUNDS):
        wide = max(NEAR, reach) if number == 0 else NEAR
        matches, textured = _slide(camera, phone, homography, int(np.ceil(wide)) + 1)
        better, inliers = matching.fit(
            matches, threshold=max(_EXACT, reach / 2) if number == 0 else _EXACT, seed=seed
        )
        if better is None or inliers.sum() < MIN_WINDOWS:
            return homography, Windows(matches, textured, 0)
        near = matching.errors(better, matches) <= NEAR
        windows = Windows(matches.where(near), textured, int(near.sum()))
        moved, before = (
            geometry.transform(matrix, matches.camera[inliers]) for matrix in (better, homography)
        )
        homography = better
        if number and np.abs(moved - before).max() < _STILL:
            break
    return homography, windows


def _slide(camera, phone, homography, radius):
    """Correlates windows; gives matches of those that are alike, and how many showed anything."""
    import cv2

    polygon = geometry.overlap(homography, camera.shape, phone.shape)
    box = _around(polygon, phone.shape)
    top, left = box[:2]
    ours = phone[top : box[2], left : box[3]]
    theirs = warp.warp(camera, homography, box)
    ours, theirs = (
        cv2.GaussianBlur(picture.astype(np.float32), (0, 0), _SMOOTHING)
        for picture in (ours, theirs)
    )
    margin = WINDOW // 2 + radius
    centres = _grid(polygon - (left, top), ours.shape, margin)
    spread_here, spread_there = _texture(ours), _texture(theirs)
    found, textured = [], 0
    for x, y in centres:
        if min(spread_here[y, x], spread_there[y, x]) < _TEXTURE:
            continue
        textured += 1
        half = WINDOW // 2
        template = theirs[y - half : y + half, x - half : x + half]
        region = ours[y - margin : y + margin, x - margin : x + margin]
        scores = cv2.matchTemplate(region, template, cv2.TM_CCOEFF_NORMED)
        peak = _peak(scores)
        if peak is not None:
            shift = np.array(peak) - radius
            # The window's centre lies between pixels: its side is even.
            found.append((x - 0.5, y - 0.5, x - 0.5 + shift[0], y - 0.5 + shift[1]))
    found = np.array(found).reshape(-1, 4) + (left, top, left, top)
    back = np.linalg.inv(homography)
    there = geometry.transform(back, found[:, :2])
    return matching.Matches(there, found[:, 2:]), textured


def _around(polygon, size):
    """The smallest box of whole pixels around a polygon, inside a photo."""
    left, top = np.maximum(np.floor(polygon.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(polygon.max(axis=0)) + 1, size[::-1]).astype(int)
    return int(top), int(left), int(bottom), int(right)


def _grid(polygon, size, margin):
    """Centres of windows, evenly spread, whose reach stays inside the photo and the polygon."""
    height, width = size
    room = max((width - 2 * margin) * (height - 2 * margin), 0)
    if room == 0:
        return []
    step = max(WINDOW // 3, int(np.sqrt(room / WINDOWS)))
    x = np.arange(margin, width - margin + 1, step)
    y = np.arange(margin, height - margin + 1, step)
    centres = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    starts, edges = polygon, np.roll(polygon, -1, axis=0) - polygon
    inward = np.stack([-edges[:, 1], edges[:, 0]], axis=1)
    inward /= np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-9)
    distances = ((centres[:, None] - starts) * inward).sum(axis=-1)
    distances *= np.sign(np.median(distances))
    return centres[distances.min(axis=1) > WINDOW // 2 + 1]


def _texture(picture):
    """Spread of the grey levels in the window around every pixel, noise smoothed away first."""
    import cv2

    calm = cv2.GaussianBlur(picture, (0, 0), 2.0)
    mean = cv2.boxFilter(calm, -1, (WINDOW, WINDOW))
    square = cv2.boxFilter(calm * calm, -1, (WINDOW, WINDOW))
    return np.sqrt(np.maximum(square - mean * mean, 0))


def _peak(scores):
    """Position of the maximum to a fraction of a pixel; None if low, flat or at the border."""
    y, x = np.unravel_index(np.argmax(scores), scores.shape)
    inside = 0 < y < scores.shape[0] - 1 and 0 < x < scores.shape[1] - 1
    if not inside or not scores[y, x] > _ALIKE:
        return None
    around = scores[y - 1 : y + 2, x - 1 : x + 2].astype(np.float64)
    # A quadratic surface through the nine scores, by least squares.
    slope_x, slope_y = (around[:, 2] - around[:, 0]).mean() / 2, (around[2] - around[0]).mean() / 2
    bend_x = (around[:, 2] - 2 * around[:, 1] + around[:, 0]).mean()
    bend_y = (around[2] - 2 * around[1] + around[0]).mean()
    twist = (around[2, 2] - around[2, 0] - around[0, 2] + around[0, 0]) / 4
    determinant = bend_x * bend_y - twist**2
    # A ridge (a straight edge) says nothing along itself.
    if bend_x >= 0 or bend_y >= 0 or determinant < _ROUND * (bend_x + bend_y) ** 2:
        return None
    shift_x = -(bend_y * slope_x - twist * slope_y) / determinant
    shift_y = -(bend_x * slope_y - twist * slope_x) / determinant
    if max(abs(shift_x), abs(shift_y)) > 1:
        return None
    return x + shift_x, y + shift_y

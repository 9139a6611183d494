"""Homographies between two photos: transforming points, plausibility, and the overlap.

A homography is a float64 `[3, 3]` that maps pixel positions (x, y) of one photo to those of
another. Positions are OpenCV's: integers are pixel centres, (0, 0) is that of the first pixel. A
box is `(top, left, bottom, right)` in whole pixels, the last two excluded, as in
`photo[top:bottom, left:right]`.
"""

from __future__ import annotations

import numpy as np

# Limits for a camera and a phone side by side, held upright.
MAX_ROTATION = 30.0  # degrees
MAX_SCALE = 8.0  # larger or smaller, in length
MAX_STRETCH = 1.3  # largest against smallest scale, at the centre
MAX_PERSPECTIVE = 2.0  # largest against smallest local scale
MIN_OVERLAP = 0.15  # of the phone photo's area

# Pixels inside the camera photo's border that interpolation needs.
_BORDER = 2


def transform(homography, points) -> np.ndarray:
    """Transforms points by a homography.

    Args:
      homography: `[3, 3]`.
      points: `[n, 2]`, x and y.

    Returns:
      float64 `[n, 2]`.
    """
    points = np.asarray(points, np.float64)
    moved = points @ homography[:, :2].T + homography[:, 2]
    return moved[:, :2] / moved[:, 2:]


def corners(size) -> np.ndarray:
    """Centres of a photo's corner pixels.

    Args:
      size: (height, width).

    Returns:
      float64 `[4, 2]`: top left, top right, bottom right, bottom left.
    """
    height, width = size
    return np.array(
        [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], dtype=np.float64
    )


def resized(homography, source_scale: float, target_scale: float) -> np.ndarray:
    """Homography between resized copies of the two photos.

    Args:
      homography: between the photos as they are.
      source_scale: of the photo it maps from (ratio of lengths).
      target_scale: of the photo it maps to.

    Returns:
      `[3, 3]` between the copies, with half-pixel centres.
    """

    def scaling(scale):
        shift = 0.5 * scale - 0.5
        return np.array([[scale, 0, shift], [0, scale, shift], [0, 0, 1.0]])

    matrix = scaling(target_scale) @ homography @ np.linalg.inv(scaling(source_scale))
    return matrix / matrix[2, 2]


def jacobians(homography, points) -> np.ndarray:
    """Jacobians of a homography at points.

    Args:
      homography: `[3, 3]`.
      points: `[n, 2]`.

    Returns:
      float64 `[n, 2, 2]`.
    """
    points = np.asarray(points, np.float64)
    moved = points @ homography[:, :2].T + homography[:, 2]
    numerator, depth = moved[:, :2, None], moved[:, 2, None, None]
    return homography[None, :2, :2] / depth - numerator * homography[2, None, None, :2] / depth**2


def describe(homography, size) -> dict:
    """Scale, rotation and stretch of a homography at the centre of a photo.

    Args:
      homography: from the photo to another.
      size: (height, width) of the photo.

    Returns:
      `{"scale": of lengths, "rotation": in degrees, "stretch": largest against smallest scale}`.
    """
    centre = corners(size).mean(axis=0, keepdims=True)
    matrix = jacobians(homography, centre)[0]
    left, values, right = np.linalg.svd(matrix)
    rotation = left @ right
    return {
        "scale": float(np.sqrt(values[0] * values[1])),
        "rotation": float(np.degrees(np.arctan2(rotation[1, 0], rotation[0, 0]))),
        "stretch": float(values[0] / max(values[1], 1e-12)),
    }


def problem(homography, camera_size, phone_size) -> str | None:
    """Checks whether a homography is plausible for two cameras side by side.

    Args:
      homography: `[3, 3]` from the camera's photo to the phone's.
      camera_size: (height, width).
      phone_size: (height, width).

    Returns:
      What is implausible, or None.
    """
    if not np.isfinite(homography).all() or abs(np.linalg.det(homography)) < 1e-12:
        return "the homography is singular"
    ends = corners(camera_size)
    depth = ends @ homography[2, :2] + homography[2, 2]
    # With all four corners in front, the outline stays convex: a homography keeps lines straight.
    if (depth <= 0).any():
        return "the homography folds the camera photo over"
    areas = np.linalg.det(jacobians(homography, ends))
    if (areas <= 0).any():
        return "the homography mirrors the camera photo"
    if areas.max() / areas.min() > MAX_PERSPECTIVE**2:
        return f"its perspective is too steep (local scales differ {_ratio(areas)} times)"
    facts = describe(homography, camera_size)
    if not 1 / MAX_SCALE <= facts["scale"] <= MAX_SCALE:
        return f"the photos differ {max(facts['scale'], 1 / facts['scale']):.1f} times in scale"
    if abs(facts["rotation"]) > MAX_ROTATION:
        return f"the camera photo is rotated by {facts['rotation']:.0f} degrees"
    if facts["stretch"] > MAX_STRETCH:
        return f"the homography stretches one direction {facts['stretch']:.2f} times"
    share = area(overlap(homography, camera_size, phone_size)) / (phone_size[0] * phone_size[1])
    if share < MIN_OVERLAP:
        return f"the photos share only {share:.0%} of the phone photo"
    return None


def _ratio(areas):
    return f"{np.sqrt(areas.max() / areas.min()):.1f}"


def overlap(homography, camera_size, phone_size) -> np.ndarray:
    """Overlap of two photos, as a polygon in the phone's photo.

    Args:
      homography: from camera to phone; all four corners in front (see `problem`).
      camera_size: (height, width).
      phone_size: (height, width).

    Returns:
      float64 `[n, 2]`: the corners of a convex polygon, in order; `[0, 2]` without overlap.
    """
    height, width = camera_size
    inside = corners((max(height - 2 * _BORDER, 1), max(width - 2 * _BORDER, 1))) + _BORDER
    polygon = transform(homography, inside)
    bottom, right = phone_size[0] - 1, phone_size[1] - 1
    for axis, limit, sign in ((0, 0, 1), (0, right, -1), (1, 0, 1), (1, bottom, -1)):
        polygon = _clipped(polygon, axis, limit, sign)
    return polygon


def area(polygon) -> float:
    """Area of a polygon.

    Args:
      polygon: `[n, 2]`, its corners in order.

    Returns:
      Square pixels; 0 for fewer than three corners.
    """
    if len(polygon) < 3:
        return 0.0
    x, y = np.asarray(polygon, np.float64).T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def largest_box(polygon) -> tuple[int, int, int, int]:
    """Largest axis-aligned box of whole pixels inside a convex polygon.

    Args:
      polygon: `[n, 2]`, corners in order.

    Returns:
      A box whose pixel centres all lie inside; `(0, 0, 0, 0)` if there is none.
    """
    if len(polygon) < 3:
        return (0, 0, 0, 0)
    first = np.ceil(polygon[:, 1].min() - 1e-6)
    last = np.floor(polygon[:, 1].max() + 1e-6)
    if last < first:
        return (0, 0, 0, 0)
    tops, bottoms, best = (first, last), (first, last), None
    while True:
        top, bottom = _candidates(*tops), _candidates(*bottoms)
        left = np.maximum(_edge(polygon, top, np.min)[:, None], _edge(polygon, bottom, np.min))
        right = np.minimum(_edge(polygon, top, np.max)[:, None], _edge(polygon, bottom, np.max))
        left, right = np.ceil(left - 1e-6), np.floor(right + 1e-6)
        sizes = np.maximum(right - left + 1, 0) * np.maximum(bottom - top[:, None] + 1, 0)
        i, j = np.unravel_index(np.argmax(sizes), sizes.shape)
        if best is None or sizes[i, j] > best[0]:
            best = (sizes[i, j], top[i], left[i, j], bottom[j] + 1, right[i, j] + 1)
        steps = max(np.diff(top, append=top[-1]).max(), np.diff(bottom, append=bottom[-1]).max())
        if steps <= 1:
            break
        # Refine around the best.
        tops = (max(first, top[i] - 2 * steps), min(last, top[i] + 2 * steps))
        bottoms = (max(first, bottom[j] - 2 * steps), min(last, bottom[j] + 2 * steps))
    return tuple(int(value) for value in best[1:]) if best[0] > 0 else (0, 0, 0, 0)


def _clipped(polygon, axis, limit, sign):
    """The part of a polygon on one side of an axis-aligned line."""
    kept = []
    for start, end in zip(polygon, np.roll(polygon, -1, axis=0)):
        before, after = sign * (start[axis] - limit), sign * (end[axis] - limit)
        if before >= 0:
            kept.append(start)
        if before * after < 0:
            kept.append(start + (end - start) * before / (before - after))
    return np.array(kept).reshape(-1, 2)


def _edge(polygon, rows, extreme):
    """Leftmost or rightmost x of a convex polygon at rows within it."""
    starts, ends = polygon, np.roll(polygon, -1, axis=0)
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    slope = (ends[:, 0] - starts[:, 0]) / np.where(high > low, ends[:, 1] - starts[:, 1], 1)
    x = starts[:, 0] + slope * (rows[:, None] - starts[:, 1])
    crossed = (rows[:, None] >= low - 1e-6) & (rows[:, None] <= high + 1e-6) & (high > low)
    outside = np.inf if extreme is np.min else -np.inf
    return extreme(np.where(crossed, x, outside), axis=1)


def _candidates(low, high):
    """Integers from low to high, both included, at most 129 of them."""
    return np.unique(np.rint(np.linspace(low, high, int(min(high - low, 128)) + 1)))
